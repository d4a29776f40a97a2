package config

import (
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// explain tells what is wrong with an environment in the words of the README's table: by the names of variables, a clause
// for each. The library names Go's fields and types.
func explain(err error, settings reflect.Type) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	clauses := make([]string, len(all.Errors))
	for i, one := range all.Errors {
		clauses[i] = clause(one, settings)
	}
	return errors.New(strings.Join(clauses, "; "))
}

func clause(err error, settings reflect.Type) string {
	var (
		unreadable env.ParseError
		missing    env.VarIsNotSetError
		empty      env.EmptyVarError
		notNumber  *strconv.NumError
	)
	switch {
	case errors.As(err, &missing):
		return missing.Key + " must be set"
	case errors.As(err, &empty):
		return empty.Key + " must be set"
	case errors.As(err, &unreadable) && errors.As(unreadable.Err, &notNumber):
		return variableOf(unreadable.Name, settings) + " must be " + expected(unreadable.Type, notNumber)
	case errors.As(err, &unreadable):
		return variableOf(unreadable.Name, settings) + " " + unreadable.Err.Error()
	}
	return err.Error()
}

// expected says what a value that is no number should have been.
func expected(t reflect.Type, err *strconv.NumError) string {
	switch {
	case t.Kind() == reflect.Bool:
		return "true or false"
	case errors.Is(err, strconv.ErrRange):
		return "smaller"
	case t.Kind() == reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// variableOf finds the variable that a field is read from.
func variableOf(field string, settings reflect.Type) string {
	if found, ok := settings.FieldByName(field); ok {
		name, _, _ := strings.Cut(found.Tag.Get("env"), ",")
		return name
	}
	return field
}
