package policy

import (
	"encoding/json"
	"errors"
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

func (aws) serves(connType string) bool { return connType == "aws" }

func (aws) prefix(string) string { return "" }

func (a aws) choose(d *draft) (choice, error) {
	if err := refuseUnreadAWS(d); err != nil {
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
		if pair.half() {
			return choice{}, refuse(pair.missing(), "is missing beside the other half of the key pair; set both, or neither to go keyless")
		}
	}
	if field := strayToken(d); field != "" {
		return choice{}, refuse(field, "belongs to a key pair, and there is none; set the pair, or remove it to go keyless")
	}
	return choice{grade: runtime(keylessAWS(d))}, nil
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
		return errors.New(notObject(fetched))
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
	d.conn.Login, d.conn.Password = &id, pointer(keys[awsSecretKey])
	// A token of another session would spoil the pair.
	takeOutOfKwargs(d, awsSessionToken)
	d.drop(awsSessionToken)
	if token := keys[awsSessionToken]; token != "" {
		d.put(awsSessionToken, quote(token))
	}
	return nil
}

// takeOutOfKwargs removes names from session_kwargs, and session_kwargs with its last
// name.
func takeOutOfKwargs(d *draft, names ...string) {
	kwargs, err := parseFields(string(d.extra.get(awsKwargs)))
	if err != nil {
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
