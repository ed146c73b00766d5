package console

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// importStatement and exportStatement are the only forms in which our modules import and export, so
// that joining them takes no parser of JavaScript; a test minds that no others are used.
var (
	importStatement = regexp.MustCompile(`(?m)^import \{([^}]*)\} from "(\.{1,2}/[^"]+)";\n`)
	exportStatement = regexp.MustCompile(`(?m)^export (async function|function|const|class) (\w+)`)
	comment         = regexp.MustCompile(`(?m)^\s*//.*\n|(?s:^\s*/\*\*.*?\*/\n)`)
	indent          = regexp.MustCompile(`(?m)^[ \t]+`)
	moduleName      = regexp.MustCompile(`\W`)
)

// module is one of ours: those that it imports, by name, and itself as a function that is called once and returns its exports.
type module struct {
	imports  []string
	function string
}

// modules are those that were read so far, since most are in several bundles and making functions of them takes long.
type modules struct {
	read func(name string) string
	made map[string]module
}

func newModules(read func(string) string) *modules {
	return &modules{read: read, made: make(map[string]module)}
}

// get returns a module by its name.
func (m *modules) get(name string) module {
	made, ok := m.made[name]
	if !ok {
		source := m.read(name)
		for _, match := range importStatement.FindAllStringSubmatch(source, -1) {
			made.imports = append(made.imports, path.Join(path.Dir(name), match[2]))
		}
		made.function = fmt.Sprintf("const %s = (() => {\n%s})();\n", variable(name), asFunction(name, source))
		m.made[name] = made
	}
	return made
}

// join returns one module that does what the module entry does with all that it imports. Each comes after those that it
// imports.
func (m *modules) join(entry string) string {
	var joined strings.Builder
	var open, done []string
	var add func(name string)
	add = func(name string) {
		if slices.Contains(done, name) {
			return
		}
		if slices.Contains(open, name) {
			panic(fmt.Errorf("the console's modules import each other in a circle: %v", append(open, name)))
		}
		open = append(open, name)
		one := m.get(name)
		for _, imported := range one.imports {
			add(imported)
		}
		open, done = open[:len(open)-1], append(done, name)
		joined.WriteString(one.function)
	}
	add(entry)
	return joined.String()
}

// asFunction is the body of the function that a module becomes.
func asFunction(name, source string) string {
	body := importStatement.ReplaceAllStringFunc(source, func(statement string) string {
		match := importStatement.FindStringSubmatch(statement)
		names := strings.ReplaceAll(strings.Join(strings.Fields(match[1]), " "), " as ", ": ")
		return fmt.Sprintf("const { %s } = %s;\n", names, variable(path.Join(path.Dir(name), match[2])))
	})
	var exports []string
	for _, match := range exportStatement.FindAllStringSubmatch(body, -1) {
		exports = append(exports, match[2])
	}
	// Comments are a quarter of what would be sent. No text of ours has lines of its own, whose beginnings would count.
	body = indent.ReplaceAllString(comment.ReplaceAllString(body, ""), "")
	body = exportStatement.ReplaceAllString(body, "$1 $2")
	return fmt.Sprintf("%s\nreturn { %s };\n", body, strings.Join(exports, ", "))
}

func variable(module string) string { return "module_" + moduleName.ReplaceAllString(module, "_") }
