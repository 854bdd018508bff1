package policy

// awsPair is one of the places where upstream looks for a key pair.
type awsPair struct {
	idField, secretField string
	hasID, hasSecret     bool
	// remove takes the pair out of the connection.
	remove func(d *draft)
}

// awsPairs are the places in the order in which upstream looks.
func awsPairs(d *draft) []awsPair {
	kwargs, _ := parseFields(string(d.extra.get(awsKwargs)))
	return []awsPair{
		{"login", "password", hasLogin(d.conn), hasPassword(d.conn),
			func(d *draft) { d.conn.Login, d.conn.Password = nil, nil }},
		{"extra." + awsKeyID, "extra." + awsSecretKey, d.has(awsKeyID), d.has(awsSecretKey),
			func(d *draft) { d.drop(awsKeyID, awsSecretKey) }},
		{"extra." + awsKwargs + "." + awsKeyID, "extra." + awsKwargs + "." + awsSecretKey,
			isTrue(kwargs.get(awsKeyID)), isTrue(kwargs.get(awsSecretKey)),
			func(d *draft) { takeOutOfKwargs(d, awsKeyID, awsSecretKey) }},
	}
}

func (p awsPair) whole() bool { return p.hasID && p.hasSecret }

func (p awsPair) half() bool { return p.hasID != p.hasSecret }

func (p awsPair) missing() string {
	if p.hasID {
		return p.secretField
	}
	return p.idField
}

// takeOut removes what there is of a pair that comes after the winner.
func (p awsPair) takeOut(d *draft, winner awsPair) {
	if p.hasID || p.hasSecret {
		d.ignored(p.secretField, winner.secretField)
		p.remove(d)
	}
}

// strayToken is the field of a session token, or "". Without a key pair the hook does not fall
// back to the default chain: it signs with the token and no key, and fails.
func strayToken(d *draft) (field string) {
	kwargs, _ := parseFields(string(d.extra.get(awsKwargs)))
	switch {
	case d.has(awsSessionToken):
		return "extra." + awsSessionToken
	case isTrue(kwargs.get(awsSessionToken)):
		return "extra." + awsKwargs + "." + awsSessionToken
	}
	return ""
}
