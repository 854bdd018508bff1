package coreserver

import (
	"net"
	"net/url"
	"strconv"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// legacyURI prints a connection as cores in the field do, by way of Go's net/url: the
// connection type stands in the scheme as it is, "google_cloud_platform" for one, which
// no URI parser takes for a scheme, and "//" is missing where nothing follows it.
func legacyURI(connection airflow.Connection) secret.Text {
	uri := url.URL{Scheme: connection.Type, Host: text(connection.Host)}
	if connection.Port != nil {
		uri.Host = net.JoinHostPort(uri.Host, strconv.Itoa(int(*connection.Port)))
	}
	switch {
	case connection.Password != nil:
		uri.User = url.UserPassword(text(connection.Login), connection.Password.Reveal())
	case connection.Login != nil:
		uri.User = url.User(*connection.Login)
	}
	if schema := text(connection.Schema); schema != "" {
		uri.Path = "/" + schema
	}
	if connection.Extra != nil {
		uri.RawQuery = url.Values{"__extra__": {connection.Extra.Reveal()}}.Encode()
	}
	return secret.New(uri.String())
}

func text(field *string) string {
	if field == nil {
		return ""
	}
	return *field
}
