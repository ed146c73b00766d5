// Package lastseen_test checks the rules of docs/architecture.md that a machine can check: here the walls between the
// packages, in style_test.go how they are written.
package lastseen_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// product are the packages of the service, from top to bottom, and which others of ours each of them may import. An arrow
// that is not here is a decision: add it with its reason in the change's note, or do without it.
var product = []struct {
	folder  string
	imports string
}{
	{"server/metrics", "ingest keys/apikey query/latest schema schema/measure server"},
	{"server", "ingest ingest/decode ingest/registry keys keys/apikey keys/people keys/people/oidc keys/ratelimit " +
		"query/changes query/history query/history/format query/history/stays query/latest query/sessions query/wire schema schema/measure " +
		"server/caller server/cluster server/console server/input server/limit server/openapi server/problem server/stream server/transport"},
	{"server/stream", "server/input server/limit server/transport"},
	{"server/input", "schema server/problem"},
	{"server/problem", "schema server/caller server/cluster server/limit server/transport"},
	{"server/caller", "keys keys/apikey keys/people schema server/limit server/transport"},
	{"server/transport", "server/limit"},
	{"server/limit", "keys keys/ratelimit"},
	{"server/cluster/replicated", "ingest ingest/registry keys/apikey keys/people query/latest query/sessions schema server/cluster server/cluster/replica"},
	{"server/cluster", "keys/apikey schema"},
	{"server/cluster/member", "schema/register server/cluster/peer server/cluster/replica"},
	{"server/cluster/replica", ""},
	{"server/cluster/peer", ""},
	{"server/openapi", "keys/apikey"},
	{"server/console", ""},
	{"server/certificate", ""},
	{"server/certificate/certificatetest", ""},

	{"ingest", "ingest/decode ingest/judge ingest/registry schema schema/measure"},
	{"ingest/decode", "ingest/registry schema"},
	{"ingest/registry", "schema schema/keyedlock schema/pages"},
	{"ingest/judge", ""},

	{"query/history", "query/history/arrival query/history/format query/history/stays query/wire schema"},
	{"query/history/arrival", "schema"},
	{"query/history/format", "query/wire schema"},
	{"query/history/stays", ""},
	{"query/sessions", "query/wire schema schema/pages"},
	{"query/changes", "query/latest query/wire schema"},
	{"query/latest", "query/latest/changelog schema schema/measure schema/pages"},
	{"query/latest/changelog", "schema"},
	{"query/wire", "schema"},
	{"query/querytest", "query/latest schema schema/schematest"},

	{"keys/people/oidc", "keys keys/people schema"},
	{"keys/people/oidc/oidctest", ""},
	{"keys/people", "keys schema"},
	{"keys/apikey", "keys keys/ratelimit schema schema/keyedlock schema/measure"},
	{"keys", "schema"},
	{"keys/ratelimit", ""},

	{"schema/backup", "schema"},
	{"schema/witness", "schema"},
	{"schema", "schema/embedded schema/health schema/lease schema/measure schema/register"},
	{"schema/schematest", "schema schema/clickhousetest schema/embedded"},
	{"schema/register/registertest", "schema/clickhousetest schema/register"},
	{"schema/register", ""},
	{"schema/clickhousetest", "schema/embedded"},
	{"schema/embedded", ""},
	{"schema/health", ""},
	{"schema/lease", ""},
	{"schema/keyedlock", ""},
	{"schema/measure", ""},
	{"schema/pages", ""},
}

// aboveProduct are what stands on the product and may use all of it. cmd imports bench, and nothing else does.
var aboveProduct = []string{"cmd", "bench"}

// web are the packages that know the HTTP server.
var web = []string{"server", "server/caller", "server/input", "server/problem"}

const (
	// manyFiles is with how many files, tests aside, a folder must say what is where.
	manyFiles = 12
	// saysEnough is how many lines the comment of such a package has at least.
	saysEnough = 3
	// filesOfAType is in how many files the methods of a type may lie.
	filesOfAType = 5
)

// spreadTypes are the types whose methods may lie in more files, and why.
var spreadTypes = map[string]string{
	"ingest/registry.Registry":    "what decides is by what it decides about, and what several nodes share is apart from it",
	"schema.DB":                   "it brings all tables to what the options say, and a file owns a setting",
	"server/cluster/replica.core": "a file for each of the three that a node can be, and for what a leader commits and whom it takes in",
	"schema.PointTable":           "a file for each way in which the history is read",
	"schema/embedded.lease":       "a file for each way in which a statement reaches the engine",
	"cmd/clients/go.Client":       "a file for each group of routes",
	"cmd/lastseen/trackfile.file": "a file for each format of recorded tracks, and each reads this one",
}

// source is one parsed Go file.
type source struct {
	path  string // from the module's root, e.g. query/last_seen.go
	set   *token.FileSet
	file  *ast.File
	lines int
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// folder is the package's path.
func (s source) folder() string { return path.Dir(s.path) }

// top is the first part of the package's path.
func (s source) top() string { top, _, _ := strings.Cut(s.path, "/"); return top }

// imports returns what the file imports, ours apart from others.
func (s source) imports() (ours, others []string) {
	for _, spec := range s.file.Imports {
		name := strings.Trim(spec.Path.Value, `"`)
		if own, is := strings.CutPrefix(name, "lastseen/"); is {
			ours = append(ours, own)
		} else {
			others = append(others, name)
		}
	}
	return ours, others
}

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

// TestWalls: a package imports what it may and nothing else, and the list says no more than is so.
func TestWalls(t *testing.T) {
	t.Parallel()
	may, used := map[string][]string{}, map[string]bool{}
	for _, p := range product {
		may[p.folder] = strings.Fields(p.imports)
	}
	for _, s := range sources(t) {
		folder := s.folder()
		if s.isTest() || folder == "." {
			continue
		}
		if slices.Contains(aboveProduct, s.top()) {
			if ours, _ := s.imports(); s.top() == "bench" && slices.ContainsFunc(ours, func(name string) bool { return strings.HasPrefix(name, "cmd/") }) {
				t.Errorf("%s imports what is of cmd, which stands above it", s.path)
			}
			continue
		}
		allowed, listed := may[folder]
		if !listed {
			t.Errorf("%s is in a package that is not in the list of the product's", s.path)
		}
		ours, others := s.imports()
		for _, imported := range ours {
			if used[folder+" "+imported] = true; !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s, which its package may not", s.path, imported)
			}
		}
		for _, imported := range others {
			if strings.HasPrefix(imported, "github.com/valyala/fasthttp") && !slices.Contains(web, folder) {
				t.Errorf("%s imports %s: only %s know the HTTP server", s.path, imported, strings.Join(web, ", "))
			}
		}
	}
	for folder, allowed := range may {
		for _, imported := range allowed {
			if !used[folder+" "+imported] {
				t.Errorf("%s may import %s and does not: take it from the list", folder, imported)
			}
		}
	}
}

// TestArrowsGoDown: in the list of the product's packages none imports one that stands above it, but for helpers of tests.
func TestArrowsGoDown(t *testing.T) {
	t.Parallel()
	above := []string{}
	for _, p := range product {
		for _, imported := range strings.Fields(p.imports) {
			if slices.Contains(above, imported) && !strings.HasSuffix(p.folder, "test") {
				t.Errorf("%s imports %s, which stands above it", p.folder, imported)
			}
		}
		above = append(above, p.folder)
	}
}

// TestTheMethodsOfATypeLieTogether: who reads a type need not look for it in a dozen files.
func TestTheMethodsOfATypeLieTogether(t *testing.T) {
	t.Parallel()
	files := map[string][]string{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		for _, declaration := range s.file.Decls {
			if method, ok := declaration.(*ast.FuncDecl); ok && method.Recv != nil {
				name := s.folder() + "." + receiver(method)
				if !slices.Contains(files[name], s.path) {
					files[name] = append(files[name], s.path)
				}
			}
		}
	}
	for name, in := range files {
		if _, may := spreadTypes[name]; len(in) > filesOfAType && !may {
			t.Errorf("the methods of %s lie in %d files, more than %d: %s", name, len(in), filesOfAType, strings.Join(in, ", "))
		}
	}
	for name := range spreadTypes {
		if len(files[name]) <= filesOfAType {
			t.Errorf("%s lies in %d files: take it from the list of exceptions", name, len(files[name]))
		}
	}
}

// TestFoldersExplainThemselves: the comment of a package of many files is a guide to them.
func TestFoldersExplainThemselves(t *testing.T) {
	t.Parallel()
	files, lines := map[string]int{}, map[string]int{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		files[s.folder()]++
		if s.file.Doc != nil {
			lines[s.folder()] += len(s.file.Doc.List)
		}
	}
	for folder, n := range files {
		if n > manyFiles && lines[folder] < saysEnough {
			t.Errorf("%s has %d files: the comment of the package must say in at least %d lines what is where", folder, n, saysEnough)
		}
	}
}
