package policy

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// azure serves the connection types whose hooks read a client secret, and read it
// from the password alone.
type azure struct{}

// azureType is what differs between those hooks.
type azureType struct {
	prefix string
	// tenant is the one name under which the hook reads the tenant.
	tenant string
	// stored are the credentials that the hook reads, in its order: fields of the extra,
	// principal and accountKey.
	stored []string
	// committed hooks want the client secret once they have a tenant, whatever else they
	// have.
	committed bool
	// storage hooks take a password without a tenant for the storage account's key,
	// and a login without a host for the account's name.
	storage bool
}

var azureTypes = map[string]azureType{
	"azure": {tenant: "tenantId", stored: []string{"key_path", "key_json", principal}},
	"wasb": {prefix: "extra__wasb__", tenant: "tenant_id", committed: true, storage: true,
		stored: []string{"connection_string", principal, "shared_access_key", "sas_token", accountKey, "account_key"}},
	"adls": {prefix: "extra__adls__", tenant: "tenant_id", committed: true, storage: true,
		stored: []string{"connection_string", principal, accountKey}},
	"azure_data_lake": {prefix: "extra__azure_data_lake__", tenant: "tenant", committed: true, stored: []string{principal}},
}

// The credentials that are no field of the extra.
const (
	principal  = "login, password and tenant"
	accountKey = "password"
)

var azureTenants = []string{"tenantId", "tenant_id", "tenant"}

// The pair that names a workload identity. Upstream reads it only when it is whole.
const (
	managedClient  = "managed_identity_client_id"
	workloadTenant = "workload_identity_tenant_id"
)

func (azure) serves(connType string) (prefix string, served bool) {
	kind, served := azureTypes[connType]
	return kind.prefix, served
}

func (a azure) choose(d *draft) (choice, error) {
	kind := azureTypes[d.conn.Type]
	if err := moveTenant(d, kind); err != nil {
		return choice{}, err
	}
	if err := moveClientSecret(d); err != nil {
		return choice{}, err
	}
	for _, name := range append([]string{managedClient, workloadTenant}, kind.fields()...) {
		d.respell(name, name)
	}
	switch stored := kind.first(d); {
	case d.has(managedClient) != d.has(workloadTenant):
		return choice{}, halfWorkloadIdentity(d)
	case d.has(managedClient):
		return a.goKeyless(d, kind), nil
	case stored != "" && stored != principal && stored != accountKey:
		return a.keepStored(d, kind, stored)
	case hasPassword(d.conn):
		return a.keepPassword(d, kind)
	case d.has(secretName) || d.has(vaultURL):
		return a.chooseReference(d, kind)
	}
	return a.withoutSecret(d, kind)
}

// moveTenant brings the tenant under the name that the hook reads.
func moveTenant(d *draft, kind azureType) error {
	for _, name := range append([]string{kind.tenant}, azureTenants...) {
		if !d.has(name) {
			continue
		}
		if _, err := d.read(name); err != nil {
			return err
		}
		if _, written := d.find(name); name != kind.tenant {
			d.notice(ReadAsMeant, "extra."+written+" is not where this hook looks for the tenant; it was delivered as "+kind.tenant)
		}
		d.respell(name, kind.tenant)
		break
	}
	for _, name := range azureTenants {
		if name != kind.tenant {
			d.drop(name)
		}
	}
	return nil
}

// moveClientSecret brings a client secret, and its client id, from the extra to where
// the hook reads them.
func moveClientSecret(d *draft) error {
	clientSecret, err := d.read("client_secret")
	if err != nil || clientSecret == "" {
		return err
	}
	clientID, err := d.read("client_id")
	if err != nil {
		return err
	}
	d.drop("client_secret", "client_id")
	if hasPassword(d.conn) {
		d.ignored("extra.client_secret", "password")
		return nil
	}
	d.conn.Password = new(secret.New(clientSecret))
	if !hasLogin(d.conn) && clientID != "" {
		d.conn.Login = &clientID
	}
	d.notice(ReadAsMeant, "extra.client_secret is not where the hook looks for the secret; it was delivered as the password")
	return nil
}

func halfWorkloadIdentity(d *draft) error {
	missing, present := managedClient, workloadTenant
	if d.has(managedClient) {
		missing, present = present, missing
	}
	return refuse("extra."+missing, "is missing beside "+present+", and the hook would ignore both; set both or neither")
}

// goKeyless takes out every secret that the hook would prefer to the workload
// identity.
func (azure) goKeyless(d *draft, kind azureType) choice {
	takeOutStored(d, kind, managedClient)
	takeOutPassword(d, managedClient)
	d.drop(kind.tenant)
	if !kind.storage || hasHost(d.conn) {
		d.conn.Login = nil
	}
	d.dropReference(managedClient)
	return choice{grade: runtime("keyless: workload identity, decided when the task runs"), keyless: "azure"}
}

func (azure) keepStored(d *draft, kind azureType, stored string) (choice, error) {
	if err := checkStored(d, stored); err != nil {
		return choice{}, err
	}
	d.dropReference(stored)
	takeOutStored(d, kind, stored)
	if kind.storage {
		takeOutPassword(d, stored)
	}
	if kind.storage && d.has(kind.tenant) {
		// The hook would want a client secret for it, and find none.
		d.ignored("extra."+kind.tenant, stored)
		d.drop(kind.tenant)
	}
	if stored != "key_path" {
		d.storedKey("extra."+stored, "prefer workload identity, or a reference in "+secretName)
		return choice{grade: valid("a stored credential")}, nil
	}
	return keepKeyPath(d)
}

// checkStored refuses a credential over which the hook raises.
func checkStored(d *draft, stored string) error {
	if stored != "key_json" {
		_, err := d.read(stored)
		return err
	}
	if value, written := d.find(stored); value[0] != '{' {
		return refuse("extra."+written, "is not an object; store the JSON itself, and not its text")
	}
	return nil
}

func (azure) keepPassword(d *draft, kind azureType) (choice, error) {
	if err := wholePrincipal(d, kind, "password"); err != nil {
		return choice{}, err
	}
	d.dropReference("password")
	takeOutStored(d, kind, "password")
	d.storedKey("password", "prefer workload identity, or a reference in "+secretName)
	return choice{grade: valid("a stored client secret or account key")}, nil
}

// wholePrincipal refuses a client secret that lacks its client or its tenant. The hook
// would go on without a word, under the default credential.
func wholePrincipal(d *draft, kind azureType, beside string) error {
	switch hasTenant := d.has(kind.tenant); {
	case kind.storage && !hasTenant: // it is the key of an account
	case !hasLogin(d.conn):
		return refuse("login", "is missing beside "+beside+"; set the client id")
	case !hasTenant:
		return refuse("extra."+kind.tenant, "is missing beside "+beside+"; set the tenant's id")
	}
	return nil
}

// withoutSecret makes the workload identity explicit where a client and a tenant are
// named and no secret is: the default credential might be another client.
func (a azure) withoutSecret(d *draft, kind azureType) (choice, error) {
	if err := strayReference(d, secretVersion); err != nil {
		return choice{}, err
	}
	named := hasLogin(d.conn) && d.has(kind.tenant)
	switch {
	case named && (!kind.storage || hasHost(d.conn)):
		tenant, _ := d.find(kind.tenant)
		d.put(managedClient, quote(*d.conn.Login))
		d.put(workloadTenant, tenant)
		d.notice(ReadAsMeant, "login and extra."+kind.tenant+" name a client without a secret; it was delivered as a workload identity: set "+managedClient+" and "+workloadTenant+" instead")
		return a.goKeyless(d, kind), nil
	case kind.committed && d.has(kind.tenant):
		return choice{}, refuse("password", "is missing beside extra."+kind.tenant+"; set the client secret, or remove the tenant to go keyless")
	}
	return choice{grade: runtime("keyless: the default credential, decided when the task runs"), keyless: "azure"}, nil
}

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

func (azure) chooseReference(d *draft, kind azureType) (choice, error) {
	ref := entry.Reference{Cloud: "azure", Field: d.at()}
	err := d.readInto(target{secretName, &ref.Name}, target{vaultURL, &ref.Location}, target{secretVersion, &ref.Version})
	if err != nil {
		return choice{}, err
	}
	if ref.Name == "" {
		return choice{}, refuse("extra."+secretName, "is missing beside "+vaultURL+"; name the secret")
	}
	if ref.Location == "" {
		return choice{}, refuse("extra."+vaultURL, "is missing beside "+secretName+"; give the vault's URL")
	}
	err = d.checkForm(ref, map[entry.Part]string{
		entry.NamePart: secretName, entry.LocationPart: vaultURL, entry.VersionPart: secretVersion,
	})
	if err != nil {
		return choice{}, err
	}
	if err := wholePrincipal(d, kind, secretName); err != nil {
		return choice{}, err
	}
	return choice{grade: runtime("the client secret is fetched from Key Vault under the pod's identity"), reference: &ref}, nil
}

func (azure) accept(d *draft, fetched string) error {
	if fetched == "" {
		return errors.New("is empty; store the client secret in it")
	}
	if !utf8.ValidString(fetched) || strings.ContainsRune(fetched, 0) {
		return errors.New("is binary; store the client secret as text")
	}
	d.conn.Password = new(secret.New(fetched))
	return nil
}
