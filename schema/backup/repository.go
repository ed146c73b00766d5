package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"lastseen/schema"
)

// Location says where a repository is, and as whom to come there.
type Location struct {
	// Address is an absolute path, or s3://bucket/prefix.
	Address string `json:"address"`
	// Endpoint is the address of an S3 service, such as https://s3.example; KeyID and Secret sign requests.
	Endpoint string `json:"endpoint,omitempty"`
	KeyID    string `json:"key_id,omitempty"`
	Secret   string `json:"secret,omitempty"`
}

// IsBucket reports whether the repository is in S3.
func (l Location) IsBucket() bool { return strings.HasPrefix(l.Address, bucketScheme) }

// errTaken says that a backup began within the same second.
var errTaken = errors.New("another backup began there within the same second: run the command again")

// repository is where backups lie. Names of backups are valid ones.
type repository interface {
	// names returns the names of the backups that are whole, in ascending order.
	names(ctx context.Context) ([]string, error)
	// begin makes a new backup, and fails with errTaken where there is one of that name. size is about how many bytes it will have.
	begin(ctx context.Context, name string, size uint64) error
	// discard removes what there is of a backup, as far as that is possible.
	discard(ctx context.Context, name string)
	// read returns a small file of a backup; fs.ErrNotExist where there is none.
	read(ctx context.Context, name, file string) ([]byte, error)
	// write writes a small file of a backup, so that it is there whole or not at all.
	write(ctx context.Context, name, file string, content []byte) error
	// place is where ClickHouse keeps a step of a backup.
	place(name string, step int) schema.Place
	// verify fails where the steps of a backup are not as ClickHouse says that it wrote them, and makes them survive the loss of power.
	// Of what they need of the base it only looks whether it is there, unless deep is set.
	verify(ctx context.Context, m *Manifest, deep bool) error
}

// open returns a repository.
func open(db *schema.DB, location Location) (repository, error) {
	if location.IsBucket() {
		return openBucket(db, location)
	}
	return openFolder(location.Address)
}

// whole returns the manifest of a backup that is whole.
func whole(ctx context.Context, r repository, name string) (*Manifest, error) {
	text, err := r.read(ctx, name, manifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no whole backup %s here: it has no %s, which is written last, so that it was cut short or is none; take another backup", name, manifestFile)
	}
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(text)
	if err == nil && m.Name != name {
		err = fmt.Errorf("the folder %s has the backup %s in it: give the folder its own name again", name, m.Name)
	}
	return m, err
}

// newestWhole returns the newest backup that builds on no other.
func newestWhole(ctx context.Context, r repository) (*Manifest, error) {
	names, err := r.names(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Backward(names) {
		if m, err := whole(ctx, r, name); err == nil && m.Base == "" {
			return m, nil
		}
	}
	return nil, errors.New("there is no backup yet that an incremental one could build on: make one without --incremental first")
}

// basePlace is where a step of what the backup builds on lies; nil where it builds on none.
func (m *Manifest) basePlace(r repository, step int) *schema.Place {
	if m.Base == "" {
		return nil
	}
	return new(r.place(m.Base, step))
}
