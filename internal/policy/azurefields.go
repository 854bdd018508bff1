package policy

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
	d.conn.Password = pointer(clientSecret)
	if !hasLogin(d.conn) && clientID != "" {
		d.conn.Login = &clientID
	}
	d.notice(ReadAsMeant, "extra.client_secret is not where the hook looks for the secret; it was delivered as the password")
	return nil
}
