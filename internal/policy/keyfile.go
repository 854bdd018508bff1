package policy

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// storedKeyfile reads keyfile_dict: an object, or its text.
func storedKeyfile(value json.RawMessage) (fields, error) {
	if inner, ok := text(value); ok {
		return parseKeyfile(inner)
	}
	key, err := splitFields(value)
	if err != nil {
		return nil, errors.New(notObject(string(value)))
	}
	return checkKeyfile(key)
}

func parseKeyfile(object string) (fields, error) {
	key, err := parseFields(object)
	if err != nil {
		return nil, errors.New(notObject(object))
	}
	return checkKeyfile(key)
}

// checkKeyfile asks for what Airflow's own code reads of a key.
func checkKeyfile(key fields) (fields, error) {
	if !isText(key.get("private_key")) {
		return nil, errors.New("has no private_key; store a service account's JSON key, as Google Cloud issues it")
	}
	return key, nil
}

// fetchedKeyfile reads a key that is about to be delivered, and asks for all of it.
func fetchedKeyfile(object string) (fields, error) {
	key, err := parseKeyfile(object)
	if err != nil {
		return nil, err
	}
	if missing := missingInKeyfile(key); missing != "" {
		return nil, errors.New("has no " + missing + ", without which Google's library refuses it; " +
			"store a service account's JSON key, as Google Cloud issues it")
	}
	return key, nil
}

// missingInKeyfile is what Google's library reads of a key besides, and does not find.
func missingInKeyfile(key fields) string {
	for _, name := range []string{"client_email", "token_uri"} {
		if !isText(key.get(name)) {
			return name
		}
	}
	return ""
}

func gradeKeyfile(key fields) entry.Grade {
	if missing := missingInKeyfile(key); missing != "" {
		return broken("keyfile_dict has no " + missing + ", without which Google's library refuses it")
	}
	return valid("keyfile_dict is a service account's key")
}

// repairPrivateKey turns the two characters \n into a newline, as upstream does for a
// keyfile_dict.
func repairPrivateKey(key fields) {
	private, _ := text(key.get("private_key"))
	key.set("private_key", quote(strings.ReplaceAll(private, `\n`, "\n")))
}
