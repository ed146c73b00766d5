// Package lastseen_test checks the rules of docs/architecture.md that a machine can check.
package lastseen_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	maxFunctionLines    = 80
	maxFunctionLinesP90 = 45
	maxFileLines        = 500
)

// layers are the packages from top to bottom; a package may import only from layers below its own.
var layers = [][]string{
	{"cmd"},
	{"bench"},
	{"server"},
	{"ingest", "query", "keys"},
	{"schema"},
}

// source is one parsed Go file.
type source struct {
	path  string // from the module's root, e.g. query/last_seen.go
	set   *token.FileSet
	file  *ast.File
	lines int
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) folder() string { top, _, _ := strings.Cut(s.path, "/"); return top }

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(path), set, file, strings.Count(string(text), "\n")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func layerOf(folder string) int {
	return slices.IndexFunc(layers, func(folders []string) bool { return slices.Contains(folders, folder) })
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.isTest() || layerOf(s.folder()) < 0 {
			continue
		}
		for _, spec := range s.file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			imported, ours := strings.CutPrefix(path, "lastseen/")
			imported, _, _ = strings.Cut(imported, "/")
			if ours && imported != s.folder() && layerOf(imported) <= layerOf(s.folder()) {
				t.Errorf("%s imports %s, which is not below it", s.path, path)
			}
			if strings.HasPrefix(path, "github.com/valyala/fasthttp") && slices.Contains([]string{"ingest", "query", "keys", "schema"}, s.folder()) {
				t.Errorf("%s imports %s: only server and what stands above it know HTTP", s.path, path)
			}
		}
	}
}

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	t.Parallel()
	var lengths []int
	for _, s := range sources(t) {
		if s.lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", s.path, s.lines, maxFileLines)
		}
		if s.isTest() {
			continue
		}
		for _, declaration := range s.file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			length := s.set.Position(function.End()).Line - s.set.Position(function.Pos()).Line + 1
			lengths = append(lengths, length)
			if length > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, function.Name.Name, length, maxFunctionLines)
			}
		}
	}
	slices.Sort(lengths)
	if p90 := lengths[len(lengths)*9/10]; p90 > maxFunctionLinesP90 {
		t.Errorf("the 90th percentile of function lengths is %d lines, more than %d", p90, maxFunctionLinesP90)
	}
}

func TestEveryPackageAndExportedNameIsDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		folder := filepath.Dir(s.path)
		documented[folder] = documented[folder] || s.file.Doc != nil
		for _, declaration := range s.file.Decls {
			for _, name := range undocumented(declaration) {
				t.Errorf("%s: %s has no doc comment", s.path, name)
			}
		}
	}
	for folder, has := range documented {
		if !has {
			t.Errorf("the package in %s has no doc comment", folder)
		}
	}
}

// undocumented returns the exported names of a declaration that have no comment, neither their own
// nor their group's.
func undocumented(declaration ast.Decl) []string {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && receiverIsExported(d) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		var names []string
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						names = append(names, name.Name)
					}
				}
			}
		}
		return names
	}
	return nil
}

func receiverIsExported(function *ast.FuncDecl) bool {
	if function.Recv == nil {
		return true
	}
	receiver := function.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.Ident:
			return r.IsExported()
		default:
			return true
		}
	}
}

func TestNamesSayWhatAPackageIsFor(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "base"}, s.file.Name.Name) {
			t.Errorf("%s: a package named %s says nothing of its subject", s.path, s.file.Name.Name)
		}
	}
}
