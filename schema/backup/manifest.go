package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"lastseen/schema"
)

const (
	// manifestFile is what makes a backup whole.
	manifestFile = "manifest.json"
	// format is the version of what is in a backup beside what ClickHouse writes.
	format = 1
	// nameLayout is the form of a backup's name.
	nameLayout = "20060102T150405Z"
)

// Manifest says what a backup has.
type Manifest struct {
	Format   int        `json:"format"`
	Name     string     `json:"name"`
	Base     string     `json:"base,omitempty"` // the name of the backup that it builds on
	Lastseen string     `json:"lastseen"`       // the version that wrote it
	Schema   uint32     `json:"schema"`         // the version of the tables
	Database string     `json:"database"`
	Began    time.Time  `json:"began"` // everything that was acknowledged before is in the backup
	Ended    time.Time  `json:"ended"`
	Tables   [][]string `json:"tables"` // by step
	Files    uint64     `json:"files"`
	Bytes    uint64     `json:"bytes"` // of this backup alone
	Whole    uint64     `json:"whole"` // of what it restores, the base included
	Secrets  Secrets    `json:"secrets"`
}

var validName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z$`)

// parseManifest reads a manifest, and refuses one of a backup that this program cannot restore.
func parseManifest(text []byte) (*Manifest, error) {
	m := new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("the backup's %s cannot be read: take another backup (%w)", manifestFile, err)
	}
	switch {
	case m.Format > format || m.Schema > schema.NewestVersion():
		return nil, fmt.Errorf("the backup was written by lastseen %s, which is newer than this one: restore it with that version or a newer one", m.Lastseen)
	case m.Format < 1 || !m.hasTables() || !validName.MatchString(m.Name) || m.Base != "" && !validName.MatchString(m.Base):
		return nil, errors.New("the backup's " + manifestFile + " does not say what it must: take another backup")
	}
	return m, nil
}

// hasTables reports whether the names of the tables, which go into statements, can be such.
func (m *Manifest) hasTables() bool {
	for _, step := range m.Tables {
		for _, name := range step {
			if !schema.IsTableName(name) {
				return false
			}
		}
	}
	return len(m.Tables) > 0 && schema.IsTableName(m.Database)
}

// stepFolder is where a step lies in a backup.
func stepFolder(step int) string { return strconv.Itoa(step + 1) }
