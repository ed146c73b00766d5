package trackfile

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	readAhead = 64 << 10 // what telling formats and delimiters apart may look at
	// maxWindow bounds the memory that a zstd file can ask for; it is what the zstd program itself takes
	// without being told.
	maxWindow = 128 << 20
)

// read undoes compression, opens an archive, and reads what is inside.
func (f *file) read(in io.Reader, name string) error {
	packed := bufio.NewReaderSize(in, readAhead)
	start, _ := packed.Peek(4)
	if bytes.HasPrefix(start, []byte("PK\x03\x04")) || bytes.HasPrefix(start, []byte("PK\x05\x06")) {
		return f.readZip(in)
	}
	plain, done, err := decompressed(packed)
	if err != nil {
		return err
	}
	defer done()
	return f.readPlain(plain, name)
}

// decompressed undoes gzip, zstd and bzip2, by how the bytes begin.
func decompressed(packed *bufio.Reader) (plain *bufio.Reader, done func(), err error) {
	start, _ := packed.Peek(4)
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		unzipped, err := gzip.NewReader(packed)
		if err != nil {
			return nil, nil, fmt.Errorf("undo the gzip compression: %w", err)
		}
		return bufio.NewReaderSize(unzipped, readAhead), func() { unzipped.Close() }, nil
	case bytes.Equal(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		unpacked, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("undo the zstd compression: %w", err)
		}
		return bufio.NewReaderSize(unpacked, readAhead), unpacked.Close, nil
	case bytes.HasPrefix(start, []byte("BZh")):
		return bufio.NewReaderSize(bzip2.NewReader(packed), readAhead), func() {}, nil
	}
	return packed, func() {}, nil
}

// seekable is a file in which an archive's directory can be found.
type seekable interface {
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// readZip reads the files of a zip archive that are of a format that is known, and tells of the others.
func (f *file) readZip(in io.Reader) error {
	at, ok := in.(seekable)
	if !ok {
		return errors.New("the file is a zip archive, which can only be read from a file: unpack it first")
	}
	info, err := at.Stat()
	if err != nil {
		return fmt.Errorf("look at the zip archive: %w", err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("the file is a zip archive, which cannot be read from standard input: give its name, or unpack it first")
	}
	archive, err := zip.NewReader(at, info.Size())
	if err != nil {
		return fmt.Errorf("the file is a zip archive that is cut off or damaged: %w", err)
	}
	if err := office(archive); err != nil {
		return err
	}
	return f.readMembers(archive)
}

// office refuses documents that are zip archives inside.
func office(archive *zip.Reader) error {
	for _, member := range archive.File {
		switch {
		case strings.HasPrefix(member.Name, "xl/"), strings.HasPrefix(member.Name, "Index/Tables/"):
			return (&refusal{what: "a spreadsheet (Excel or Numbers)", advice: "save its table as CSV"}).error()
		case strings.HasPrefix(member.Name, "word/"), member.Name == "mimetype", member.Name == "AndroidManifest.xml":
			return (&refusal{what: "a document or a program", advice: "look for an export as CSV or GPX"}).error()
		}
	}
	return nil
}

// readMembers reads what an archive holds. A file inside it that gives nothing is told of, as archives
// hold much else; one that breaks off after some rows is an error at the end.
func (f *file) readMembers(archive *zip.Reader) error {
	given, read, unread := f.device, 0, []string(nil)
	var broken error
	for _, member := range archive.File {
		base := path.Base(member.Name)
		if member.FileInfo().IsDir() || strings.HasPrefix(base, ".") || strings.HasPrefix(member.Name, "__MACOSX/") {
			continue
		}
		f.member, f.yielded, f.decoded = member.Name, false, false
		if !f.deviceGiven {
			f.device = stem(member.Name)
			if strings.EqualFold(base, "doc.kml") {
				f.device = given // what a KMZ archive calls its one file
			}
		}
		err := f.readMember(member)
		switch {
		case f.stopped:
			return nil
		case err == nil:
			read++
		case f.yielded:
			read++
			broken = errors.Join(broken, fmt.Errorf("%s: %w", printable(member.Name), err))
		default:
			unread = append(unread, fmt.Sprintf("%s in the archive is not read: %v", printable(member.Name), err))
		}
	}
	for i, sentence := range unread {
		if i == maxReported {
			f.note("and %d more files in the archive are not read", len(unread)-i)
			break
		}
		f.note("%s", sentence)
	}
	if read == 0 {
		return errors.New("the file is a zip archive in which no file holds positions that can be read")
	}
	return broken
}

// readMember reads one file of an archive.
func (f *file) readMember(member *zip.File) error {
	if member.Flags&1 != 0 {
		return errors.New("it is encrypted")
	}
	in, err := member.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	packed := bufio.NewReaderSize(in, readAhead)
	if start, _ := packed.Peek(2); string(start) == "PK" {
		return errors.New("it is an archive itself: unpack the outer one first")
	}
	plain, done, err := decompressed(packed)
	if err != nil {
		return err
	}
	defer done()
	return f.readPlain(plain, member.Name)
}
