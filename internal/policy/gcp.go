package policy

import (
	"encoding/json"
	"slices"
	"strings"
)

// gcp serves the connection types whose hook is a GoogleBaseHook. Upstream refuses a connection with two
// credentials and knows no order among them; the order here is that of gcpCredentials.
type gcp struct{}

const gcpPrefix = "extra__google_cloud_platform__"

// gcpCredentials are the fields that upstream's check of exclusiveness counts, first
// come, first kept.
var gcpCredentials = []string{"keyfile_dict", "key_path", secretName, "credential_config_file", "is_anonymous"}

// gcpTypes are google_cloud_platform, which most of these hooks have, and those of
// BigQueryHook, CloudSQLHook and SpannerHook. The other types of the provider belong to
// hooks of another kind: gcpssh to an SSHHook, gcpcloudsqldb to a BaseHook, google_ads to
// one that reads google_ads_client.
var gcpTypes = []string{"google_cloud_platform", "gcpbigquery", "gcpcloudsql", "gcpspanner"}

// gcpDelivered are the fields that every version of the hook reads, delivered under both
// their names.
var gcpDelivered = []string{
	"keyfile_dict", "key_path", "credential_config_file", "is_anonymous",
	"project", "scope", "num_retries", "impersonation_chain",
}

func (gcp) serves(connType string) bool { return slices.Contains(gcpTypes, connType) }

func (gcp) prefix(string) string { return gcpPrefix }

func (g gcp) choose(d *draft) (choice, error) {
	if err := joinScopes(d); err != nil {
		return choice{}, err
	}
	if err := refuseUnreadGCP(d); err != nil {
		return choice{}, err
	}
	readAnonymous(d)
	chosen, err := g.grade(d, keepFirst(d, gcpCredentials))
	if err != nil {
		return choice{}, err
	}
	if chosen.reference == nil {
		d.drop(referenceFields...)
	}
	for _, name := range gcpDelivered {
		d.spellBoth(name)
	}
	return chosen, nil
}

func (g gcp) grade(d *draft, credential string) (choice, error) {
	switch credential {
	case "keyfile_dict":
		return g.chooseKeyfile(d)
	case "key_path":
		return g.chooseKeyPath(d)
	case secretName:
		return g.chooseReference(d)
	case "credential_config_file":
		return choice{grade: runtime("credential_config_file is read when the task runs")}, nil
	case "is_anonymous":
		return choice{grade: valid("anonymous: no credential is used")}, nil
	}
	if d.has("idp_issuer_url") {
		return choice{}, refuse("extra.credential_config_file", "is missing beside idp_issuer_url, whose token it says how to use; set both or neither")
	}
	if err := strayGCP(d); err != nil {
		return choice{}, err
	}
	return choice{grade: runtime("keyless: Application Default Credentials, decided when the task runs")}, nil
}

func (gcp) chooseKeyfile(d *draft) (choice, error) {
	value, written := d.find("keyfile_dict")
	key, err := storedKeyfile(value)
	if err != nil {
		return choice{}, refuse("extra."+written, err.Error())
	}
	d.storedKey("extra."+written, "prefer Workload Identity, or a reference in "+secretName)
	return choice{grade: gradeKeyfile(key)}, nil
}

func (gcp) chooseKeyPath(d *draft) (choice, error) {
	path, err := d.read("key_path")
	if err != nil {
		return choice{}, err
	}
	if _, written := d.find("key_path"); !strings.HasSuffix(path, ".json") {
		return choice{}, refuse("extra."+written, "does not end in .json, and the hook reads no other key file; give the JSON key's path")
	}
	return choice{grade: runtime("key_path is read when the task runs")}, nil
}

// accept delivers the key as text, as forms save it: the helpers that hand it to
// gcloud write it to a file as it is.
func (gcp) accept(d *draft, fetched string) error {
	key, err := fetchedKeyfile(fetched)
	if err != nil {
		return err
	}
	repairPrivateKey(key)
	d.put("keyfile_dict", quote(key.encode()))
	d.spellBoth("keyfile_dict")
	return nil
}

// keepFirst returns the first credential that is set and takes the others out, in
// both spellings.
func keepFirst(d *draft, credentials []string) (kept string) {
	for _, name := range credentials {
		switch _, written := d.find(name); {
		case !d.has(name):
			d.drop(name)
		case kept == "":
			kept = name
		default:
			d.ignored("extra."+written, kept)
			d.drop(name)
		}
	}
	return kept
}

// joinScopes turns scope, or scopes, into the one comma-separated text that the hook
// splits. A list would fail it.
func joinScopes(d *draft) error {
	name := "scope"
	if !d.has(name) {
		name = "scopes"
	}
	value, written := d.find(name)
	if !isTrue(value) {
		d.drop("scope", "scopes")
		return nil
	}
	var list []string
	if one, ok := text(value); ok {
		list = strings.Split(one, ",")
	} else if json.Unmarshal(value, &list) != nil {
		return refuse("extra."+written, "is neither text nor a list of texts; write scopes as URLs with commas between them")
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	joined := quote(strings.Join(list, ","))
	if name == "scope" && string(joined) == string(value) {
		d.drop("scopes")
		return nil
	}
	d.drop("scope", "scopes")
	d.put("scope", joined)
	return nil
}

// readAnonymous reads is_anonymous as it was meant. To upstream every text is true,
// "false" too, and the task would run without the identity that it should have.
func readAnonymous(d *draft) {
	value, written := d.find("is_anonymous")
	meant, ok := text(value)
	if !ok {
		return
	}
	switch strings.ToLower(strings.TrimSpace(meant)) {
	case "false", "0", "no", "off", "none", "null":
		d.drop("is_anonymous")
		d.notice(ReadAsMeant, "extra."+written+" is text that says no, which upstream takes for yes; it was taken out: write false, or nothing")
	}
}
