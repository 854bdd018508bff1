package metastore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Options of a URL, as libpq names them. What is of use to libpq alone, or is set by core, changes
// nothing; what is in neither list is refused, since it may be meant to protect something.
const (
	honoured = " sslmode sslrootcert sslcert sslkey sslpassword sslsni sslnegotiation sslcertmode channel_binding require_auth min_protocol_version max_protocol_version connect_timeout target_session_attrs options host port "
	ignored  = " application_name fallback_application_name client_encoding keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout gssencmode sslcompression "
)

const urlForm = "want postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with the \"@\", \":\", \"/\" and \"?\" of a user or password percent-encoded"

// parseURL reads a URL of PostgreSQL as Airflow's "sql_alchemy_conn" has it, "+psycopg2" included.
// Its errors hold nothing of the URL but the names of options.
func parseURL(text secret.Text) (*pgconn.Config, error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(text.Reveal()), "://")
	dialect, _, _ := strings.Cut(scheme, "+")
	switch {
	case !found:
		return nil, errors.New("is no URL; " + urlForm)
	case dialect != "postgresql" && dialect != "postgres":
		return nil, errors.New("is no URL of PostgreSQL, which alone is read; for another database export into files")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	user, place, hasUser := strings.Cut(authority, "@")
	if !hasUser {
		user, place = "", authority
	}
	// What stands in the wrong place may be half of a password, and would be told of in errors.
	if strings.ContainsAny(place+database+query, "@") || strings.ContainsAny(database, "/") || strings.ContainsAny(rest+query, "#\x00") {
		return nil, errors.New("has a character where none may be; " + urlForm)
	}
	settings, err := settingsOf(user, place, database)
	if err != nil {
		return nil, err
	}
	if err := settings.addOptions(query); err != nil {
		return nil, err
	}
	config, err := pgconn.ParseConfig(settings.text())
	if err != nil {
		return nil, errors.New("is no URL that can be used, or names a file of certificates that cannot be read; " + urlForm)
	}
	config.RuntimeParams["application_name"] = "leoflow-core"
	config.MaxProtocolMessageBodyLen = maxMessage
	return config, nil
}

// settings are libpq's keywords and what they are set to.
type settings map[string]string

func settingsOf(user, place, database string) (settings, error) {
	name, password, _ := strings.Cut(user, ":")
	s := settings{"sslmode": "prefer"}
	for key, part := range map[string]string{"user": name, "password": password, "dbname": database} {
		plain, err := url.PathUnescape(part)
		if err != nil || strings.ContainsRune(plain, 0) {
			return nil, errors.New("has a broken percent-encoding; " + urlForm)
		}
		if plain != "" {
			s[key] = plain
		}
	}
	return s, s.addHosts(strings.Split(place, ","))
}

// addHosts takes HOST, HOST:PORT and [IPv6]:PORT. A host that is percent-encoded is a socket's folder.
func (s settings) addHosts(places []string) error {
	var hosts, ports []string
	for _, each := range places {
		var host, port string
		if end := strings.LastIndexByte(each, ']'); strings.HasPrefix(each, "[") && end > 0 {
			host, port = each[1:end], strings.TrimPrefix(each[end+1:], ":")
		} else {
			host, port, _ = strings.Cut(each, ":")
		}
		plain, err := url.PathUnescape(host)
		if err != nil || strings.Trim(port, "0123456789") != "" {
			return errors.New("has no host and port where they stand; " + urlForm)
		}
		hosts, ports = append(hosts, plain), append(ports, port)
	}
	if strings.Join(hosts, "") != "" {
		s["host"], s["port"] = strings.Join(hosts, ","), strings.Join(ports, ",")
	}
	return nil
}

// addOptions takes "host" and "port" as SQLAlchemy does, which repeats "host=HOST:PORT".
func (s settings) addOptions(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("has a broken percent-encoding; " + urlForm)
	}
	for key, all := range values {
		last := all[len(all)-1]
		switch {
		case strings.ContainsRune(last, 0):
			return errors.New("has a zero byte; " + urlForm)
		case key == "host" && !strings.HasPrefix(last, "/"):
			if err := s.addHosts(all); err != nil {
				return err
			}
		case strings.Contains(honoured, " "+key+" "):
			s[key] = last
		case strings.Contains(ignored, " "+key+" "):
		default:
			return fmt.Errorf("has the option %q, which core does not know; remove it", key)
		}
	}
	return nil
}

// text is libpq's form of keywords and values.
func (s settings) text() string {
	var text strings.Builder
	for key, value := range s {
		value = strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value)
		fmt.Fprintf(&text, "%s='%s' ", key, value)
	}
	return text.String()
}
