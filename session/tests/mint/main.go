// Mints patterns.json: what github.com/moby/patternmatcher answers for lists of patterns and paths.
//
//	go run . > ../patterns.json
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
)

// A row is one list with the answers for some paths; Bad lists are refused.
type row struct {
	Patterns []string        `json:"patterns"`
	Bad      bool            `json:"bad,omitempty"`
	Paths    map[string]bool `json:"paths,omitempty"`
}

var chosen = [][]string{
	{"*"}, {"**"}, {"**/*"}, {"*.go"}, {"**/*.go"}, {"a"}, {"a/"}, {"./a"}, {"/a"}, {"a/*"}, {"a/**"}, {"a/**/b"},
	{"**/b"}, {"**b"}, {"**/b/**"}, {"a?"}, {"a/?"}, {"[ab]"}, {"[^a]"}, {"[a-c]/d"}, {"[!a]"}, {"[]]"}, {"[\\]]"},
	{"[*]"}, {"[?]"}, {"[.]"}, {"[a.b]"}, {"[[]"}, {"[a&&b]"}, {"[a--b]"}, {"[a~~b]"}, {"\\*"}, {"\\a"}, {"\\d"}, {"\\w*"},
	{"\\["}, {"a\\"}, {"["}, {"[]"}, {"[a"}, {"[-a]"}, {"[a-]"}, {"[c-a]"}, {"!"}, {"", " "}, {" a "}, {"a", "!a/b"}, {"*", "!a.txt"},
	{"!a"}, {"a", "!a", "a"}, {"**", "!**/b", "a/b"}, {"a/../b"}, {"../a"}, {"."}, {".."}, {"a.txt"}, {"a+b"}, {"(a)"},
	{"a|b"}, {"{a,b}"}, {"a^b"}, {"^a"}, {"a$"}, {"*^"}, {"a*b*c"}, {"***"}, {"a**"}, {"a**b"}, {"**a**"}, {"**/"}, {"a/**/"}, {"**/**"},
	{"<*>"}, {"\\<a\\>*"}, {"a-b*"}, {"#*"}, {"é*"}, {"[é]"}, {"\\é"}, {"日本/**"}, {"*.rar"}, {"sub"}, {"*.txt", "!b.txt"},
	{"[[:alpha:]]*"}, {"[a-c-e]"}, {"\\s*"}, {"[\\d]x"}, {"[\\w-]"}, {"~*"}, {"a b"}, {"*.{go,rs}"}, {"a//b"}, {"!!a"}, {"! a"},
}

var paths = []string{
	"a", "b", "c", "ab", "abc", "a.txt", "b.txt", "c.txt.rar", "sub", "sub/d.txt", "sub/f.txt.rar", "x.go", "d/x.go",
	"a/b", "a/b/c", "a/d", "a/x/b", "a/x/y/b", "b/a", "xb", "x/b", "x/b/y", "]", "[", "*", "?", ".", "..", "a*", "\\", "^", "^a", "a^b",
	"a+b", "(a)", "a|b", "{a,b}", "a$", "<x>", "<a>b", "a-bc", "-", "&", "~", "~x", "#x", "é", "éa", "日本", "日本/x", "a b", "1", "d", "1x",
	"_", " a", "!a", "!", "a/", ".go", "a\nb", "x.{go,rs}", "../a", "dx", "w1",
}

func randomList(random *rand.Rand) []string {
	atoms := []string{"a", "b", "c", "/", "/", "*", "**", "**/", "?", "[ab]", "[^a]", "[a-c]", ".", "\\*", "x", "é", "[*]", "]", "^", "-", "+"}
	list := make([]string, 1+random.Intn(3))
	for i := range list {
		var text strings.Builder
		if random.Intn(3) == 0 {
			text.WriteString("!")
		}
		for n := 1 + random.Intn(5); n > 0; n-- {
			text.WriteString(atoms[random.Intn(len(atoms))])
		}
		list[i] = text.String()
	}
	return list
}

func randomPath(random *rand.Rand) string {
	atoms := []string{"a", "b", "c", "ab", "x", "a.b", "*", "é", "]", "^", "-", "+"}
	parts := make([]string, 1+random.Intn(4))
	for i := range parts {
		parts[i] = atoms[random.Intn(len(atoms))]
		if random.Intn(3) == 0 {
			parts[i] += atoms[random.Intn(len(atoms))]
		}
	}
	return strings.Join(parts, "/")
}

// ask answers for a path, walking down its directories as well; the two ways must agree.
func ask(list []string, path string) (bool, error) {
	matcher, err := patternmatcher.New(list)
	if err != nil {
		return false, err
	}
	matched, err := matcher.MatchesOrParentMatches(path)
	if err != nil {
		return false, err
	}
	// The walk is asked for relative, clean paths only.
	if path == filepath.Clean(path) && !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, ".") {
		var info patternmatcher.MatchInfo
		walked := false
		parts := strings.Split(path, "/")
		for i := range parts {
			walked, info, err = matcher.MatchesUsingParentResults(strings.Join(parts[:i+1], "/"), info)
			if err != nil {
				return false, err
			}
		}
		if walked != matched {
			fmt.Fprintf(os.Stderr, "differs by way of asking: %q %q\n", list, path)
		}
	}
	return matched, nil
}

func main() {
	random := rand.New(rand.NewSource(1))
	lists := chosen
	for i := 0; i < 400; i++ {
		lists = append(lists, randomList(random))
	}
	var rows []row
	for i, list := range lists {
		asked := paths
		if i >= len(chosen) {
			asked = nil
			for j := 0; j < 12; j++ {
				asked = append(asked, randomPath(random))
			}
		}
		answer := row{Patterns: list, Paths: map[string]bool{}}
		for _, path := range asked {
			matched, err := ask(list, path)
			if err != nil {
				answer.Bad = true
				answer.Paths = nil
				break
			}
			answer.Paths[path] = matched
		}
		rows = append(rows, answer)
	}
	fmt.Println("[")
	for i, answer := range rows {
		line, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		comma := ","
		if i == len(rows)-1 {
			comma = ""
		}
		fmt.Printf("%s%s\n", line, comma)
	}
	fmt.Println("]")
}
