package policy

import (
	"slices"
	"strconv"
	"strings"
)

// What follows refuses fields over which the hook raises, whatever the credential is.

var assumeRoleMethods = []string{"assume_role", "assume_role_with_saml", "assume_role_with_web_identity"}

func refuseUnreadAWS(d *draft) error {
	if kwargs := d.extra.get(awsKwargs); isTrue(kwargs) && kwargs[0] != '{' {
		return refuse("extra."+awsKwargs, "is not an object, and the hook reads fields of it; write an object")
	}
	method := d.extra.get("assume_role_method")
	if written, _ := text(method); method != nil && d.has("role_arn") && !slices.Contains(assumeRoleMethods, written) {
		return refuse("extra.assume_role_method", "is none that the hook knows; write "+strings.Join(assumeRoleMethods, " or "))
	}
	return nil
}

func refuseUnreadGCP(d *draft) error {
	value, written := d.find("num_retries")
	retries, isText := text(value)
	if !isText {
		return nil
	}
	if _, err := strconv.Atoi(strings.TrimSpace(retries)); err != nil {
		return refuse("extra."+written, "is not a whole number; write one, or nothing")
	}
	return nil
}

func refuseUnreadAzure(d *draft, stored string) error {
	if stored != "key_json" {
		_, err := d.read(stored)
		return err
	}
	if value, written := d.find(stored); value[0] != '{' {
		return refuse("extra."+written, "is not an object; store the JSON itself, and not its text")
	}
	return nil
}
