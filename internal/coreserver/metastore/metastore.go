// Package metastore reads connections and variables from Airflow's own database, as they stand
// there, and never writes. It asks for the ids of the rows and their xmin, and for the values of
// those alone that differ from what it has read.
package metastore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leoflow/secrets-csi/internal/coreserver/keyfile"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Config says where the database is.
type Config struct {
	// URLFile holds the URL of the database, and KeysFile Airflow's Fernet keys; it may be empty
	// where nothing is encrypted. Both are read anew at each look.
	URLFile, KeysFile string
	// Now is time.Now where nil.
	Now func() time.Time
}

const (
	connectTimeout = 5 * time.Second
	lookTimeout    = 15 * time.Second
	// readAllAfter is when all values are read again though no xmin differs. It finds what xmin
	// cannot show; see ADR 0070.
	readAllAfter = 10 * time.Minute
	// Both in the transaction and not in the URL, since poolers refuse them there.
	begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; " +
		"SET LOCAL statement_timeout = 5000; SET LOCAL lock_timeout = 2000; " +
		"SET LOCAL idle_in_transaction_session_timeout = 15000; SET LOCAL client_encoding = 'UTF8'; "
	startedSQL = "SELECT pg_catalog.pg_postmaster_start_time()::text"
)

// Reader looks into the database. It is for one goroutine.
type Reader struct {
	config Config
	tables []*table

	connection *pgconn.PgConn
	url        secret.Text // of the connection
	keysText   secret.Text
	keys       Keys
	started    string // of the server whose xmins the rows have
	readAll    time.Time
}

// Found is what the two tables hold. Changed is set where that is not what the look before found.
type Found struct {
	Connections, Variables []Row
	Changed                bool
}

// New reads the two files and fails where one cannot be used. It does not ask the database.
func New(config Config) (*Reader, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	r := &Reader{config: config, tables: newTables()}
	if err := r.refreshKeys(); err != nil {
		return nil, err
	}
	_, _, err := r.readURL()
	return r, err
}

// Close ends the connection.
func (r *Reader) Close() {
	if r.connection == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.connection.Close(ctx)
	r.connection = nil
}

// Look reads what has changed. One that fails changes nothing of what was found before, and holds
// nothing of the URL, of keys or of values in its error.
func (r *Reader) Look(ctx context.Context) (Found, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := r.refreshKeys(); err != nil {
		return Found{}, err
	}
	if err := r.connect(ctx); err != nil {
		return Found{}, err
	}
	changed, err := r.look(ctx)
	for tries := 1; errors.Is(err, errMoved) && tries < 3; tries++ {
		changed, err = r.look(ctx)
	}
	if err != nil {
		r.Close()
		return Found{}, err
	}
	return Found{r.tables[0].kept(), r.tables[1].kept(), changed}, nil
}

// refreshKeys has all rows read again where the keys are others.
func (r *Reader) refreshKeys() error {
	if r.config.KeysFile == "" {
		return nil
	}
	text, err := keyfile.Read("--airflow-fernet-keys", r.config.KeysFile)
	if err != nil {
		return err
	}
	if text.Equal(r.keysText) {
		return nil
	}
	keys, err := parseKeys(text)
	if err != nil {
		return fmt.Errorf("%s: %w", r.config.KeysFile, err)
	}
	r.keysText, r.keys, r.started = text, keys, ""
	return nil
}

func (r *Reader) readURL() (text secret.Text, config *pgconn.Config, err error) {
	if text, err = keyfile.Read("--airflow-db", r.config.URLFile); err != nil {
		return secret.Text{}, nil, err
	}
	if r.connection != nil && !r.connection.IsClosed() && text.Equal(r.url) {
		return text, nil, nil
	}
	if config, err = parseURL(text); err != nil {
		return secret.Text{}, nil, fmt.Errorf("%s: %w", r.config.URLFile, err)
	}
	return text, config, nil
}

// connect makes a connection where there is none, or the URL is another.
func (r *Reader) connect(ctx context.Context) error {
	text, config, err := r.readURL()
	if err != nil || config == nil {
		return err
	}
	r.Close()
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	connection, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return describe("connecting to Airflow's database", err)
	}
	// Another server may have given the same xmin to other rows.
	r.connection, r.url, r.started = connection, text, ""
	return nil
}

// look asks what there is, and then for the values of what differs. What it keeps is replaced at
// its end, whole.
func (r *Reader) look(ctx context.Context) (changed bool, err error) {
	found, err := r.probe(ctx)
	if err != nil {
		return false, err
	}
	now := r.config.Now()
	all := r.started == "" || found.started != r.started || now.After(r.readAll)
	plans := make([]plan, len(r.tables))
	for i, t := range r.tables {
		plans[i] = t.plan(found.tables[i], all)
		changed = changed || !plans[i].isEmpty()
	}
	if !changed {
		return false, nil
	}
	next, err := r.values(ctx, plans)
	if err != nil {
		return false, err
	}
	for i := range r.tables {
		if !plans[i].isWhole(next[i]) {
			return false, errMoved
		}
	}
	for i, t := range r.tables {
		t.rows, t.columns = next[i], plans[i].columns
	}
	if all {
		r.started, r.readAll = found.started, now.Add(readAllAfter)
	}
	return true, nil
}

// errMoved is half a look: rows were deleted between the two questions. What it found would be
// some of what was deleted at once.
var errMoved = errors.New("rows of Airflow's database are deleted faster than they can be read")

// probe is what the cheap question found.
type probe struct {
	started string
	tables  []outline
}

// probe is one round trip: the columns, the server's start, ids and xmins.
func (r *Reader) probe(ctx context.Context) (probe, error) {
	found := probe{tables: make([]outline, len(r.tables))}
	sql := begin
	for i, t := range r.tables {
		found.tables[i].ids = map[int64]string{}
		sql += t.columnsSQL() + "; "
	}
	sql += startedSQL + "; "
	for _, t := range r.tables {
		sql += t.idsSQL() + "; "
	}
	count := len(r.tables)
	seen, err := r.ask(ctx, sql+"COMMIT", func(result int, row [][]byte) error {
		switch {
		case result < count:
			found.tables[result].columns = append(found.tables[result].columns, string(row[0]))
		case result == count:
			found.started = string(row[0])
		default:
			return found.tables[result-count-1].add(r.tables[result-count-1], row)
		}
		return nil
	})
	// A table that is not as it must be is told by its name, in place of what comes of it.
	for i := 0; i < min(seen, count); i++ {
		if err := r.tables[i].check(found.tables[i].columns); err != nil {
			return found, err
		}
	}
	if err != nil {
		doing := "asking Airflow's database"
		if at := seen - count - 1; at >= 0 && at < count {
			doing = "reading table " + strconv.Quote(r.tables[at].name)
		}
		return found, describe(doing, err)
	}
	return found, nil
}

// values reads the rows of plans, and returns what each table then has.
func (r *Reader) values(ctx context.Context, plans []plan) ([]map[int64]known, error) {
	sql := begin
	for i, t := range r.tables {
		sql += t.valuesSQL(plans[i]) + "; "
	}
	next := make([]map[int64]known, len(r.tables))
	total := 0
	for i, t := range r.tables {
		next[i] = t.standing(plans[i])
		total += size(next[i])
	}
	_, err := r.ask(ctx, sql+"COMMIT", func(result int, row [][]byte) error {
		t := r.tables[result]
		id, read, err := t.parse(plans[result].columns, row, r.keys)
		if err != nil {
			return err
		}
		next[result][id] = read
		if total += read.size + rowCost; total > maxTotal {
			return limit(fmt.Sprintf("the tables take more than the %d KiB that core has for them; a row counts for %d bytes besides its own", maxTotal>>10, rowCost))
		}
		return nil
	})
	if err != nil {
		return nil, describe("reading values", err)
	}
	return next, nil
}

// ask runs statements as one message, and calls each with every row and the number of its result,
// among those of statements that have any. seen counts the results that came whole.
func (r *Reader) ask(ctx context.Context, sql string, each func(result int, row [][]byte) error) (seen int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := r.connection.Exec(ctx, sql)
	for results.NextResult() {
		reader := results.ResultReader()
		if len(reader.FieldDescriptions()) == 0 {
			continue
		}
		for err == nil && reader.NextRow() {
			if err = each(seen, reader.Values()); err != nil {
				cancel() // rather than receive the rest
			}
		}
		if _, ended := reader.Close(); ended != nil || err != nil {
			break
		}
		seen++
	}
	if ended := results.Close(); err == nil {
		err = ended
	}
	return seen, err
}
