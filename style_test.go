package lastseen_test

import (
	"go/ast"
	"path/filepath"
	"slices"
	"testing"
)

const (
	maxFunctionLines    = 80
	maxFunctionLinesP90 = 45
	maxFileLines        = 500
)

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
	return function.Recv == nil || ast.IsExported(receiver(function))
}

// receiver returns the name of a method's type.
func receiver(method *ast.FuncDecl) string {
	of := method.Recv.List[0].Type
	for {
		switch r := of.(type) {
		case *ast.StarExpr:
			of = r.X
		case *ast.IndexExpr:
			of = r.X
		case *ast.IndexListExpr:
			of = r.X
		case *ast.Ident:
			return r.Name
		default:
			return ""
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
