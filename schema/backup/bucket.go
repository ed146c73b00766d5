package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"lastseen/schema"
)

const (
	bucketScheme = "s3://"
	// awsEndpoint is where buckets are when nobody says otherwise.
	awsEndpoint = "https://s3.amazonaws.com"
)

// bucket is a repository in S3. ClickHouse does all that is done there, so that this program speaks no S3 itself, and what a user
// of ClickHouse's may not do is not done.
type bucket struct {
	db     *schema.DB
	prefix schema.Place
}

func openBucket(db *schema.DB, location Location) (repository, error) {
	endpoint := location.Endpoint
	if endpoint == "" {
		endpoint = awsEndpoint
	}
	base, err := url.Parse(endpoint)
	name, prefix, _ := strings.Cut(strings.TrimPrefix(location.Address, bucketScheme), "/")
	switch {
	case err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http":
		return nil, errors.New("--s3-endpoint must be like https://s3.example")
	case name == "" || strings.ContainsAny(location.Address, "*?{}"):
		return nil, errors.New("an S3 address must be like s3://bucket/prefix")
	case location.KeyID == "" || location.Secret == "":
		return nil, errors.New("S3 needs an access key: set LASTSEEN_S3_KEY_ID and LASTSEEN_S3_SECRET")
	}
	base.Path = path.Join("/", base.Path, name, prefix)
	return bucket{db, schema.Place{URL: base.String(), KeyID: location.KeyID, Secret: location.Secret}}, nil
}

// at is the place of something below the prefix.
func (b bucket) at(elements ...string) schema.Place {
	place := b.prefix
	place.URL += "/" + path.Join(elements...)
	return place
}

// names implements repository.
func (b bucket) names(ctx context.Context) (names []string, err error) {
	objects, err := b.db.Objects(ctx, b.at("*", manifestFile))
	for key := range objects {
		if name := path.Base(path.Dir(key)); validName.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// begin implements repository.
func (b bucket) begin(ctx context.Context, name string, _ uint64) error {
	objects, err := b.db.Objects(ctx, b.at(name, "**"))
	if err == nil && len(objects) > 0 {
		return errTaken
	}
	return err
}

// discard implements repository. ClickHouse removes no objects.
func (b bucket) discard(context.Context, string) {}

// read implements repository.
func (b bucket) read(ctx context.Context, name, file string) ([]byte, error) {
	// Where nothing matches a pattern, that is no error.
	content, found, err := b.db.ReadObject(ctx, b.at(name, file[:len(file)-1]+"?"))
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	return content, err
}

// write implements repository.
func (b bucket) write(ctx context.Context, name, file string, content []byte) error {
	return b.db.WriteObject(ctx, b.at(name, file), content)
}

// place implements repository.
func (b bucket) place(name string, step int) schema.Place { return b.at(name, stepFolder(step)) }

// verify implements repository: every object must be there with its size. What was sent was held against a checksum by S3 itself.
func (b bucket) verify(ctx context.Context, m *Manifest, _ bool) error {
	for step := range m.Tables {
		contents, objects, err := b.step(ctx, m.Name, step)
		if err != nil {
			return err
		}
		inBase := func(content) error {
			return errors.New("the backup says that it builds on another one, and does not say on which")
		}
		if m.Base != "" {
			if inBase, err = b.base(ctx, m.Base, step); err != nil {
				return err
			}
		}
		for i := range contents.Files {
			if err := contents.Files[i].checkSize(objects, inBase); err != nil {
				return fmt.Errorf("%s: %w", b.at(m.Name, stepFolder(step)).URL, err)
			}
		}
	}
	return nil
}

// base returns what fails where bytes are not in a step of the backup that another one builds on.
func (b bucket) base(ctx context.Context, name string, step int) (func(content) error, error) {
	below, objects, err := b.step(ctx, name, step)
	if err != nil {
		return nil, err
	}
	index := below.byContent()
	return func(wanted content) error {
		e, found := index[wanted]
		if !found || objects[e.file()] != wanted.size {
			return fmt.Errorf("what it needs of %s is not there", b.at(name, stepFolder(step)).URL)
		}
		return nil
	}, nil
}

// step returns what ClickHouse says of a step of a backup, and the objects that there are of it.
func (b bucket) step(ctx context.Context, name string, step int) (*contents, map[string]uint64, error) {
	text, err := b.read(ctx, path.Join(name, stepFolder(step)), contentsFile)
	if err != nil {
		return nil, nil, err
	}
	said, err := parseContents(text)
	if err != nil {
		return nil, nil, err
	}
	objects, err := b.sizes(ctx, name, step)
	return said, objects, err
}

// sizes returns the objects of a step, by their path below it.
func (b bucket) sizes(ctx context.Context, name string, step int) (map[string]uint64, error) {
	objects, err := b.db.Objects(ctx, b.at(name, stepFolder(step), "**"))
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]uint64, len(objects))
	for key, size := range objects {
		if _, below, found := strings.Cut("/"+key, "/"+name+"/"+stepFolder(step)+"/"); found {
			sizes[below] = size
		}
	}
	return sizes, nil
}
