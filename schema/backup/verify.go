package backup

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-faster/city"
)

// contentsFile is where ClickHouse says, last, what it has written.
const contentsFile = ".backup"

// contents is what ClickHouse says of a backup of its own.
type contents struct {
	Files []entry `xml:"contents>file"`
}

// entry is one file that a backup has. Its bytes are the first BaseSize of a file of the base, all of them where nothing else is
// said, and what is in the file DataFile, or Name, of this backup.
type entry struct {
	Name         string  `xml:"name"`
	DataFile     string  `xml:"data_file"`
	Size         uint64  `xml:"size"`
	Checksum     string  `xml:"checksum"`
	UseBase      bool    `xml:"use_base"`
	BaseSize     *uint64 `xml:"base_size"`
	BaseChecksum string  `xml:"base_checksum"`
}

func parseContents(text []byte) (*contents, error) {
	c := new(contents)
	if err := xml.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", contentsFile, err)
	}
	return c, nil
}

// content identifies bytes.
type content struct {
	size     uint64
	checksum string
}

// byContent returns the files of a backup by what is in them.
func (c *contents) byContent() map[content]*entry {
	index := make(map[content]*entry, len(c.Files))
	for i := range c.Files {
		index[content{c.Files[i].Size, c.Files[i].Checksum}] = &c.Files[i]
	}
	return index
}

// file is the path, below the backup, of what is the entry's own.
func (e *entry) file() string {
	if e.DataFile != "" {
		return e.DataFile
	}
	return e.Name
}

// fromBase is what the entry has of the base.
func (e *entry) fromBase() content {
	switch {
	case !e.UseBase:
		return content{}
	case e.BaseSize == nil:
		return content{e.Size, e.Checksum}
	}
	return content{*e.BaseSize, e.BaseChecksum}
}

// own is how many bytes are in the backup itself.
func (e *entry) own() uint64 { return e.Size - min(e.Size, e.fromBase().size) }

// checkSize fails where the entry's bytes are not there, by the sizes of files of a backup and of its base.
func (e *entry) checkSize(files map[string]uint64, base func(content) error) error {
	if own := e.own(); own > 0 {
		if size, found := files[e.file()]; !found || size != own {
			return fmt.Errorf("%s has %d bytes, and should have %d", e.file(), size, own)
		}
	}
	if from := e.fromBase(); from.size > 0 {
		return base(from)
	}
	return nil
}

// step is one step of a backup in a folder.
type step struct {
	path  string
	files *contents
	index map[content]*entry // of a base
}

func readStep(path string) (*step, error) {
	text, err := os.ReadFile(filepath.Join(path, contentsFile))
	if err != nil {
		return nil, err
	}
	files, err := parseContents(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &step{path: path, files: files}, nil
}

// verifyFolder holds what ClickHouse has written into a folder against its checksums, and, where deep is set, what it needs of the
// folder of the base too: otherwise that is only looked for. base is empty without one.
func verifyFolder(ctx context.Context, path, base string, deep bool) error {
	s, err := readStep(path)
	if err != nil {
		return err
	}
	below := new(step)
	if base != "" {
		if below, err = readStep(base); err != nil {
			return fmt.Errorf("what the backup builds on: %w", err)
		}
		below.index = below.files.byContent()
	}
	for i := range s.files.Files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e := &s.files.Files[i]
		if e.DataFile != "" && e.DataFile != e.Name || e.Size == 0 {
			continue // the same bytes are looked at under another name
		}
		if err := s.verify(e, below, deep); err != nil {
			return err
		}
	}
	return nil
}

// verify holds a file against its checksum.
func (s *step) verify(e *entry, base *step, deep bool) error {
	from := e.fromBase()
	if from.size == 0 {
		return sum(e.Size, e.Checksum, filepath.Join(s.path, e.file()))
	}
	below, found := base.index[from]
	if !found {
		return fmt.Errorf("%s is in no file of what the backup builds on: give that folder its own name and place again", e.Name)
	}
	path := filepath.Join(base.path, below.file())
	switch {
	case deep && e.own() > 0:
		return sum(e.Size, e.Checksum, path, filepath.Join(s.path, e.file()))
	case deep:
		return sum(e.Size, e.Checksum, path)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && uint64(info.Size()) != from.size {
		return fmt.Errorf("%s is not as it was written", path)
	}
	return err
}

// hashedBlock is how many bytes ClickHouse hashes at a time, each block with the hash of those before it as its seed.
const hashedBlock = 2048

// sum fails where the bytes of some files, one after the other, are not those of a size and a checksum.
func sum(size uint64, checksum string, paths ...string) error {
	var (
		hash  city.U128
		found uint64
		block = make([]byte, hashedBlock)
		files []io.Reader
	)
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		files = append(files, file)
	}
	for all := bufio.NewReaderSize(io.MultiReader(files...), 64*hashedBlock); ; {
		n, err := io.ReadFull(all, block)
		if n > 0 {
			hash, found = city.CH128Seed(block[:n], hash), found+uint64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if got := fmt.Sprintf("%016x%016x", hash.High, hash.Low); found != size || got != checksum {
		return fmt.Errorf("%s is not as it was written: it has %d bytes of the checksum %s, and should have %d of %s", paths[len(paths)-1], found, got, size, checksum)
	}
	return nil
}
