package policy

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// gcp serves the connection types whose hook is a GoogleBaseHook. Upstream refuses a
// connection with two credentials and knows no order among them; the order here is that of
// gcpCredentials.
type gcp struct{}

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

const gcpPrefix = "extra__google_cloud_platform__"

func (gcp) serves(connType string) (prefix string, served bool) {
	return gcpPrefix, slices.Contains(gcpTypes, connType)
}

func (g gcp) choose(d *draft) (choice, error) {
	if err := joinScopes(d); err != nil {
		return choice{}, err
	}
	if err := checkRetries(d); err != nil {
		return choice{}, err
	}
	readAnonymous(d)
	chosen, err := g.chooseBy(d, keepFirst(d, gcpCredentials))
	if err != nil {
		return choice{}, err
	}
	d.drop(referenceFields...)
	for _, name := range gcpDelivered {
		d.spellBoth(name)
	}
	return chosen, nil
}

// checkRetries refuses a number over which the hook raises, whatever the credential is.
func checkRetries(d *draft) error {
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

func (g gcp) chooseBy(d *draft, credential string) (choice, error) {
	switch credential {
	case "keyfile_dict":
		return g.chooseKeyfile(d)
	case "key_path":
		return keepKeyPath(d)
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
	return choice{grade: runtime("keyless: Application Default Credentials, decided when the task runs"), keyless: "gcp"}, nil
}

func (gcp) chooseKeyfile(d *draft) (choice, error) {
	value, written := d.find("keyfile_dict")
	object, isText := text(value)
	if !isText {
		object = string(value)
	}
	key, err := parseKeyfile(object)
	if err != nil {
		return choice{}, refuse("extra."+written, err.Error())
	}
	d.storedKey("extra."+written, "prefer Workload Identity, or a reference in "+secretName)
	if missing := missingInKeyfile(key); missing != "" {
		return choice{grade: broken("keyfile_dict has no " + missing + ", without which Google's library refuses it")}, nil
	}
	return choice{grade: valid("keyfile_dict is a service account's key")}, nil
}

// gcpResource is a full resource name; the region of a regional secret and the version are
// optional.
var gcpResource = regexp.MustCompile(`^projects/([^/]+)(?:/locations/([^/]+))?/secrets/([^/]+)(?:/versions/([^/]+))?$`)

func (gcp) chooseReference(d *draft) (choice, error) {
	ref := entry.Reference{Cloud: "gcp", Field: d.at()}
	if err := d.readInto(target{secretName, &ref.Name}, target{secretVersion, &ref.Version}); err != nil {
		return choice{}, err
	}
	located, err := locateGCP(d, &ref)
	if err != nil {
		return choice{}, err
	}
	err = d.checkForm(ref, map[entry.Part]string{
		entry.NamePart: secretName, entry.LocationPart: located, entry.RegionPart: secretName, entry.VersionPart: secretVersion,
	})
	if err != nil {
		return choice{}, err
	}
	return choice{grade: runtime("the secret is fetched from Secret Manager under the pod's identity"), reference: &ref}, nil
}

// locateGCP takes a full resource name apart, or else finds the project, and returns the
// field that names it.
func locateGCP(d *draft, ref *entry.Reference) (field string, err error) {
	if parts := gcpResource.FindStringSubmatch(ref.Name); parts != nil {
		return secretName, takeResource(ref, parts)
	}
	if err := d.checkForm(*ref, map[entry.Part]string{entry.NamePart: secretName}); err != nil {
		return "", err
	}
	ref.Location, field, err = secretProjectOf(d)
	return field, err
}

func takeResource(ref *entry.Reference, parts []string) error {
	ref.Location, ref.Region, ref.Name = parts[1], parts[2], parts[3]
	switch version := parts[4]; {
	case version == "":
	case ref.Version == "":
		ref.Version = version
	case ref.Version != version:
		return refuse("extra."+secretVersion, "is another version than that in "+secretName+"; remove it")
	}
	return nil
}

// secretProjectOf is where the secret lives, and the field that says so. Upstream falls
// back to the project of the task's own credentials, which is not known here; the
// connection's project is.
func secretProjectOf(d *draft) (project, field string, err error) {
	for _, field := range []string{secretProject, "project"} {
		if project, err := d.read(field); err != nil || project != "" {
			return project, field, err
		}
	}
	return "", "", refuse("extra."+secretProject, "is missing; name the project of the secret")
}

// strayGCP is for a connection without any credential. Upstream's forms save the
// project of a secret without its name, and then go keyless, so that is no error.
func strayGCP(d *draft) error {
	if _, written := d.find(secretProject); d.has(secretProject) {
		d.notice(CredentialIgnored, "extra."+written+" was taken out, because "+secretName+" is not beside it; name the secret, or remove it")
	}
	return strayReference(d, secretVersion)
}

// accept delivers the key as text, as forms save it: the helpers that hand it to
// gcloud write it to a file as it is. The two characters \n in it become a newline, as
// upstream does for a keyfile_dict.
func (gcp) accept(d *draft, fetched string) error {
	key, err := parseKeyfile(fetched)
	if err != nil {
		return err
	}
	if missing := missingInKeyfile(key); missing != "" {
		return errors.New("has no " + missing + ", without which Google's library refuses it; " +
			"store a service account's JSON key, as Google Cloud issues it")
	}
	private, _ := text(key.get("private_key"))
	key.set("private_key", quote(strings.ReplaceAll(private, `\n`, "\n")))
	d.put("keyfile_dict", quote(key.encode()))
	d.spellBoth("keyfile_dict")
	return nil
}

// parseKeyfile reads a service account's key, and asks for what Airflow's own code reads of
// it.
func parseKeyfile(object string) (fields, error) {
	key, err := parseFields(object)
	if err != nil {
		return nil, err
	}
	if !isText(key.get("private_key")) {
		return nil, errors.New("has no private_key; store a service account's JSON key, as Google Cloud issues it")
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
