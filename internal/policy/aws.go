package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// aws serves aws. Upstream combines role_arn with whatever the source credentials
// are, so role_arn is no rival of theirs and is never touched.
type aws struct{}

const (
	awsKeyID        = "aws_access_key_id"
	awsSecretKey    = "aws_secret_access_key"
	awsSessionToken = "aws_session_token"
	awsKwargs       = "session_kwargs"
)

func (aws) serves(connType string) (prefix string, served bool) { return "", connType == "aws" }

func (a aws) choose(d *draft) (choice, error) {
	if err := checkAWSFields(d); err != nil {
		return choice{}, err
	}
	pairs := awsPairs(d)
	for i, pair := range pairs {
		if pair.whole() {
			return a.keep(d, pair, pairs[i+1:]), nil
		}
	}
	if d.has(secretName) {
		return a.chooseReference(d, pairs)
	}
	if err := strayReference(d, secretRegion, secretRole, secretVersion); err != nil {
		return choice{}, err
	}
	for _, pair := range pairs {
		if pair.hasID != pair.hasSecret {
			return choice{}, refuse(pair.missing(), "is missing beside the other half of the key pair; set both, or neither to go keyless")
		}
	}
	if field := strayToken(d); field != "" {
		return choice{}, refuse(field, "belongs to a key pair, and there is none; set the pair, or remove it to go keyless")
	}
	return choice{grade: runtime(keylessAWS(d)), keyless: "aws"}, nil
}

var assumeRoleMethods = []string{"assume_role", "assume_role_with_saml", "assume_role_with_web_identity"}

// checkAWSFields refuses fields over which the hook raises, whatever the credential is.
func checkAWSFields(d *draft) error {
	if kwargs := d.extra.get(awsKwargs); isTrue(kwargs) && kwargs[0] != '{' {
		return refuse("extra."+awsKwargs, "is not an object, and the hook reads fields of it; write an object")
	}
	method := d.extra.get("assume_role_method")
	if written, _ := text(method); method != nil && d.has("role_arn") && !slices.Contains(assumeRoleMethods, written) {
		return refuse("extra.assume_role_method", "is none that the hook knows; write "+strings.Join(assumeRoleMethods, " or "))
	}
	return nil
}

func keylessAWS(d *draft) string {
	if d.has("role_arn") {
		return "keyless: role_arn is assumed from the pod's own identity when the task runs"
	}
	return "keyless: the default credential chain, decided when the task runs"
}

func (aws) keep(d *draft, kept awsPair, losers []awsPair) choice {
	for _, loser := range losers {
		loser.takeOut(d, kept)
	}
	d.dropReference(kept.secretField)
	d.storedKey(kept.secretField, "prefer IRSA, or a reference in "+secretName)
	if d.has("role_arn") {
		return choice{grade: valid("role_arn is assumed from the stored key pair")}
	}
	return choice{grade: valid("a stored key pair")}
}

// awsPair is one of the places where upstream looks for a key pair.
type awsPair struct {
	idField, secretField string
	hasID, hasSecret     bool
	// remove takes the pair out of the connection.
	remove func(d *draft)
}

// awsPairs are the places in the order in which upstream looks.
func awsPairs(d *draft) []awsPair {
	kwargs := sessionKwargs(d)
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

// sessionKwargs are the fields of session_kwargs; nil where that is not there, or no object.
func sessionKwargs(d *draft) fields {
	written := d.extra.get(awsKwargs)
	if written == nil {
		return nil
	}
	kwargs, _ := parseFields(string(written))
	return kwargs
}

// strayToken is the field of a session token, or "". Without a key pair the hook does not fall
// back to the default chain: it signs with the token and no key, and fails.
func strayToken(d *draft) (field string) {
	kwargs := sessionKwargs(d)
	switch {
	case d.has(awsSessionToken):
		return "extra." + awsSessionToken
	case isTrue(kwargs.get(awsSessionToken)):
		return "extra." + awsKwargs + "." + awsSessionToken
	}
	return ""
}

// takeOutOfKwargs removes names from session_kwargs, and session_kwargs with its last
// name.
func takeOutOfKwargs(d *draft, names ...string) {
	kwargs := sessionKwargs(d)
	if kwargs == nil {
		return
	}
	for _, name := range names {
		if kwargs.remove("", name) {
			d.put(awsKwargs, json.RawMessage(kwargs.encode()))
		}
	}
	if len(kwargs) == 0 {
		d.drop(awsKwargs)
	}
}

func (aws) chooseReference(d *draft, pairs []awsPair) (choice, error) {
	ref := entry.Reference{Cloud: "aws", Field: d.at()}
	err := d.readInto(target{secretName, &ref.Name}, target{secretRegion, &ref.Location},
		target{secretRole, &ref.Role}, target{secretVersion, &ref.Version})
	if err != nil {
		return choice{}, err
	}
	region, err := locateAWS(d, &ref)
	if err != nil {
		return choice{}, err
	}
	err = d.checkForm(ref, map[entry.Part]string{
		entry.NamePart: secretName, entry.LocationPart: region, entry.VersionPart: secretVersion, entry.RolePart: secretRole,
	})
	if err != nil {
		return choice{}, err
	}
	for _, pair := range pairs {
		pair.takeOut(d, awsPair{secretField: "extra." + secretName})
	}
	return choice{grade: runtime("the key pair is fetched from Secrets Manager under the pod's identity"), reference: &ref}, nil
}

// locateAWS takes the region of an ARN, then that of the reference, then that of the
// connection, and returns the field that it is from. It may stay empty: a node has a
// region of its own.
func locateAWS(d *draft, ref *entry.Reference) (field string, err error) {
	if strings.HasPrefix(ref.Name, "arn:") {
		return secretName, locateARN(ref)
	}
	if ref.Location != "" {
		return secretRegion, nil
	}
	ref.Location, err = d.read("region_name")
	return "region_name", err
}

func locateARN(ref *entry.Reference) error {
	parts := strings.SplitN(ref.Name, ":", 7)
	if len(parts) < 7 || parts[2] != "secretsmanager" || parts[3] == "" || parts[5] != "secret" {
		return refuse("extra."+secretName, "is not the ARN of a secret; it reads arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME")
	}
	if ref.Location != "" && ref.Location != parts[3] {
		return refuse("extra."+secretRegion, "is another region than that of the ARN in "+secretName+"; remove it")
	}
	ref.Location = parts[3]
	return nil
}

// awsSpellings are the names under which a secret may hold the parts of a key pair:
// those of the extra, and those in which AWS's API hands keys out.
var awsSpellings = map[string][]string{
	awsKeyID:        {awsKeyID, "AccessKeyId"},
	awsSecretKey:    {awsSecretKey, "SecretAccessKey"},
	awsSessionToken: {awsSessionToken, "SessionToken"},
}

func (aws) accept(d *draft, fetched string) error {
	parsed, err := parseFields(fetched)
	if err != nil {
		return err
	}
	keys := map[string]string{}
	for name, spellings := range awsSpellings {
		for _, spelling := range spellings {
			if value, ok := text(parsed.get(spelling)); ok && keys[name] == "" {
				keys[name] = value
			}
		}
	}
	if keys[awsKeyID] == "" || keys[awsSecretKey] == "" {
		return errors.New("has no key pair; store an object with " + awsKeyID + " and " + awsSecretKey)
	}
	id := keys[awsKeyID]
	d.conn.Login, d.conn.Password = &id, new(secret.New(keys[awsSecretKey]))
	// A token of another session would spoil the pair.
	takeOutOfKwargs(d, awsSessionToken)
	d.drop(awsSessionToken)
	if token := keys[awsSessionToken]; token != "" {
		d.put(awsSessionToken, quote(token))
	}
	return nil
}
