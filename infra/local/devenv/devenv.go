package devenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"wafleet/infra/local/datadir"
)

// givenMark stands above the variables that came from the environment.
const givenMark = "# given by the environment of the last start"

// plain matches values that a shell takes as they are.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./?-]*$`)

// Variable is one line of the file.
type Variable struct {
	Name, Value string
	// Given says that the environment asked for this value, and that it was not made by the installation.
	Given bool
}

// File is the content of dev.env.
type File []Variable

// Read parses the file that an earlier start wrote. A file that is not there is empty.
func Read(path string) (File, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read dev.env: %w", err)
	}
	return parse(string(content)), nil
}

// Write replaces the file. Only its owner may read it, since it holds a key and a password.
func (f File) Write(path string) error {
	return datadir.Replace(path, []byte(f.String()), 0o600)
}

// String is the file as a shell sources it; what was given comes last.
func (f File) String() string {
	var own, given strings.Builder
	for _, v := range f {
		part := &own
		if v.Given {
			part = &given
		}
		part.WriteString(v.Name + "=" + Quote(v.Value) + "\n")
	}
	if given.Len() == 0 {
		return own.String()
	}
	return own.String() + givenMark + "\n" + given.String()
}

// Get returns the value of a variable, empty if the file does not have it.
func (f File) Get(name string) string {
	for _, v := range f {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// Own reports whether the value of an environment variable only repeats what the installation itself had written.
func (f File) Own(name, value string) bool {
	for _, v := range f {
		if v.Name == name && v.Value == value {
			return !v.Given
		}
	}
	return false
}

func parse(content string) File {
	var f File
	given := false
	for line := range strings.Lines(content) {
		line = strings.TrimSuffix(line, "\n")
		given = given || line == givenMark
		if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			f = append(f, Variable{Name: name, Value: unquote(value), Given: given})
		}
	}
	return f
}

// Quote writes a value so that every shell reads it back as it is, as one word.
func Quote(value string) string {
	if plain.MatchString(value) {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

func unquote(word string) string {
	if len(word) < 2 || word[0] != '\'' || word[len(word)-1] != '\'' {
		return word
	}
	return strings.ReplaceAll(word[1:len(word)-1], `'\''`, "'")
}
