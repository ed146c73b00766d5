package backup

import (
	"context"
	"fmt"
	"slices"

	"lastseen/schema"
)

// RestoreOrder says which backup to restore.
type RestoreOrder struct {
	From Location
	// Name is the backup's.
	Name string
	// OmitSecrets does without the issuer's key though it is in the backup. Passphrase is what it was encrypted with. KeyFile is its
	// file's name.
	OmitSecrets bool
	Passphrase  string
	KeyFile     string
}

// Restore makes the tables of a backup in a database that has none, and has ClickHouse check them. It returns the issuer's key,
// nil where there is none, for the caller to keep before it calls db.EndRestore: until then the database counts as one into which
// a restore was cut short. When it fails before BeginRestore has succeeded, nothing has changed; begun says so.
func Restore(ctx context.Context, db *schema.DB, order RestoreOrder, progress Progress) (m *Manifest, key []byte, begun bool, err error) {
	r, err := open(db, order.From)
	if err != nil {
		return nil, nil, false, err
	}
	if m, err = whole(ctx, r, order.Name); err != nil {
		return nil, nil, false, err
	}
	steps := len(m.Tables) + 2
	if m.Base != "" {
		base, err := whole(ctx, r, m.Base)
		if err != nil {
			return nil, nil, false, fmt.Errorf("the backup %s builds on another one: %w", m.Name, err)
		}
		if base.Base != "" {
			return nil, nil, false, fmt.Errorf("the backup %s builds on %s, which builds on another one: take another backup", m.Name, m.Base)
		}
	}
	if !order.OmitSecrets {
		if key, err = readSecrets(ctx, r, m, order.KeyFile, order.Passphrase); err != nil {
			return nil, nil, false, err
		}
	}
	progress("verifying", 1, steps)
	if err := r.verify(ctx, m, true); err != nil {
		return nil, nil, false, fmt.Errorf("the backup is damaged: take another one (%w)", err)
	}
	if err := db.BeginRestore(ctx); err != nil {
		return nil, nil, false, err
	}
	return m, key, true, restoreFrom(ctx, db, r, m, progress)
}

// restoreFrom makes the tables.
func restoreFrom(ctx context.Context, db *schema.DB, r repository, m *Manifest, progress Progress) error {
	steps := len(m.Tables) + 2
	for step, tables := range m.Tables {
		progress("restoring", step+2, steps)
		if err := db.Restore(ctx, tables, r.place(m.Name, step), m.basePlace(r, step), m.Database); err != nil {
			return err
		}
	}
	progress("checking", steps, steps)
	return db.CheckTables(ctx, slices.Concat(m.Tables...))
}
