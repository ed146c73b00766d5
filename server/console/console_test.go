package console_test

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"lastseen/server/console"
)

func TestEveryFileHasATypeAndAValidator(t *testing.T) {
	t.Parallel()
	tags := map[string]string{}
	for _, file := range console.Files() {
		if file.ContentType == "" {
			t.Errorf("%s has no content type", file.Path)
		}
		if len(file.ETag) < 16 || file.ETag[0] != '"' || file.ETag[len(file.ETag)-1] != '"' {
			t.Errorf("%s has the ETag %s, want a quoted digest", file.Path, file.ETag)
		}
		if other, taken := tags[file.ETag]; taken {
			t.Errorf("%s and %s have the same ETag", file.Path, other)
		}
		tags[file.ETag] = file.Path
		isPage := strings.HasPrefix(file.ContentType, "text/html")
		if want := map[bool]string{true: "no-store", false: "no-cache"}[isPage]; file.CacheControl != want {
			t.Errorf("%s is served with Cache-Control %s, want %s", file.Path, file.CacheControl, want)
		}
	}
	for _, page := range []string{console.Path, console.LinkPath} {
		if find(page) == nil {
			t.Errorf("there is no page at %s", page)
		}
	}
}

// reference finds what a page, a module or a style sheet loads.
var reference = regexp.MustCompile(`(?:href|src)="([^"#]+)"|from "([^"]+)"|url\("([^"]+)"\)`)

func TestEveryReferenceLeadsToAFileOfOurs(t *testing.T) {
	t.Parallel()
	used := map[string]bool{console.Path: true, console.LinkPath: true}
	for _, file := range console.Files() {
		for _, match := range reference.FindAllStringSubmatch(string(file.Body), -1) {
			target := match[1] + match[2] + match[3]
			if strings.HasPrefix(target, "./") {
				target = path.Join(path.Dir(file.Path), target)
			}
			if target == "/console/#/" {
				continue
			}
			used[target] = true
			if find(target) == nil {
				t.Errorf("%s refers to %s, which is not there", file.Path, target)
			}
		}
	}
	for _, file := range console.Files() {
		if !used[file.Path] {
			t.Errorf("nothing refers to %s", file.Path)
		}
	}
}

func TestMarkupHoldsNoScriptAndNoStyle(t *testing.T) {
	t.Parallel()
	forbidden := map[string]*regexp.Regexp{
		"an inline script":      regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]`),
		"a style element":       regexp.MustCompile(`(?i)<style`),
		"a style attribute":     regexp.MustCompile(`(?i)<[^>]+\sstyle\s*=`),
		"an inline handler":     regexp.MustCompile(`(?i)<[^>]+\son[a-z]+\s*=`),
		"an address elsewhere":  regexp.MustCompile(`(?i)(?:href|src|action)\s*=\s*"(?:[a-z]+:)?//`),
		"a JavaScript: address": regexp.MustCompile(`(?i)javascript:`),
	}
	for _, file := range console.Files() {
		if !strings.HasPrefix(file.ContentType, "text/html") {
			continue
		}
		for what, pattern := range forbidden {
			if found := pattern.Find(file.Body); found != nil {
				t.Errorf("%s holds %s, which the Content-Security-Policy forbids: %s", file.Path, what, found)
			}
		}
	}
}

func TestScriptsNeverParseTextAsMarkup(t *testing.T) {
	t.Parallel()
	dangerous := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTMLUnsafe|createContextualFragment|localStorage|sessionStorage|indexedDB`)
	for _, file := range console.Files() {
		if !strings.HasSuffix(file.Path, ".js") {
			continue
		}
		if found := dangerous.Find(file.Body); found != nil {
			t.Errorf("%s uses %s: names must be shown as text, and nothing may be kept in the browser", file.Path, found)
		}
	}
}

func TestFilesCannotBeChangedByTheirReaders(t *testing.T) {
	t.Parallel()
	first := console.Files()
	first[0].Path = "changed"
	if console.Files()[0].Path == "changed" {
		t.Error("a change to the returned list changed the console's")
	}
}

func find(path string) *console.File {
	for _, file := range console.Files() {
		if file.Path == path {
			return &file
		}
	}
	return nil
}

func TestThePageLoadsItsModulesAtOnce(t *testing.T) {
	t.Parallel()
	page := string(find(console.Path).Body)
	for _, file := range console.Files() {
		if strings.HasSuffix(file.Path, ".js") && file.Path != "/console/link.js" && !strings.Contains(page, `"`+file.Path+`"`) {
			t.Errorf("the page does not name %s, so a browser finds it only after reading other modules", file.Path)
		}
	}
}
