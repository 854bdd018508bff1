package policy

// fields are those stored credentials that are fields of the extra.
func (k azureType) fields() []string {
	var fields []string
	for _, name := range k.stored {
		if name != principal && name != accountKey {
			fields = append(fields, name)
		}
	}
	return fields
}

// first is the credential that the hook comes to first; "" if none is stored. Half a
// principal is none.
func (k azureType) first(d *draft) string {
	for _, name := range k.stored {
		if k.holds(d, name) {
			return name
		}
	}
	return ""
}

func (k azureType) holds(d *draft, name string) bool {
	switch name {
	case principal:
		return hasLogin(d.conn) && hasPassword(d.conn) && d.has(k.tenant)
	case accountKey:
		return hasPassword(d.conn)
	}
	return d.has(name)
}

// takeOutStored leaves the winner alone of the extra's credentials.
func takeOutStored(d *draft, kind azureType, winner string) {
	for _, name := range kind.fields() {
		if name == winner {
			continue
		}
		if d.has(name) {
			d.ignored("extra."+name, winner)
		}
		d.drop(name)
	}
}

func takeOutPassword(d *draft, winner string) {
	if hasPassword(d.conn) {
		d.ignored("password", winner)
	}
	d.conn.Password = nil
}
