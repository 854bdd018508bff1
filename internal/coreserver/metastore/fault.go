package metastore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// States of PostgreSQL that somebody can do something about; see its appendix "Error Codes".
func stateText(code string) string {
	switch code {
	case "28P01", "28000":
		return "the database refuses the URL's role or its password"
	case "3D000":
		return "the URL's database is not there"
	case "42501":
		return "the URL's role may not read the table: GRANT USAGE on its schema and SELECT on it"
	case "42P01":
		return "there is no such table that the URL's role can see: Airflow has not migrated the database, or its schema is not in the role's search_path"
	case "42703":
		return "the table is a view, which has no xmin, or has changed while it was read"
	case "53300":
		return "the database takes no more connections"
	case "55P03":
		return "the table is locked, as by a migration"
	case "57014":
		return "the database took too long to answer"
	case "57P01", "57P02", "57P03":
		return "the database is starting or stopping"
	case "25006":
		return "the database wanted to write, and core only reads"
	case "08P01", "0A000":
		return "the database or the pooler before it does not take the URL's options"
	default:
		return "the database reports SQLSTATE " + code
	}
}

// describe says what is wrong without a word of what the database or the driver said: the texts
// of both may hold parts of the URL, and a URL that was mistyped has parts of its password anywhere.
func describe(doing string, err error) error {
	var stated *pgconn.PgError
	var dialed *net.OpError
	var named *net.DNSError
	var own limit
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &stated):
		return fmt.Errorf("%s: %s", doing, stateText(stated.Code))
	case isOfTLS(err):
		return fmt.Errorf("%s: TLS fails; look at sslmode and sslrootcert of the URL, and at the server's certificate", doing)
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return fmt.Errorf("%s: the database does not answer in time", doing)
	case errors.As(err, &named):
		return fmt.Errorf("%s: the URL's host has no address", doing)
	case errors.As(err, &dialed) && dialed.Op == "dial":
		return fmt.Errorf("%s: the database cannot be reached (%s)", doing, reasonOf(dialed))
	case errors.As(err, &dialed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, pgconn.ErrConnClosed):
		return fmt.Errorf("%s: the database has hung up", doing)
	default:
		return fmt.Errorf("%s: the connection has failed", doing)
	}
}

// reasonOf is what the kernel says, without addresses.
func reasonOf(err *net.OpError) string {
	text := err.Err.Error()
	if at := strings.LastIndex(text, ": "); at >= 0 {
		text = text[at+2:]
	}
	return text
}

func isOfTLS(err error) bool {
	var unverified *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &unverified) || errors.As(err, &header) || errors.As(err, &alert) ||
		errors.As(err, &authority) || errors.As(err, &host) || strings.Contains(err.Error(), "server refused TLS connection")
}
