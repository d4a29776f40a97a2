package api

import "fmt"

// defaultPage is how much a list answers where the call does not say.
const defaultPage = 100

// limited is how many a call wants, at most so many, or preset where it does not say.
func limited(limit *int, preset, most int) (int, error) {
	if limit == nil {
		return preset, nil
	}
	if *limit < 1 || *limit > most {
		return 0, invalid("limit", fmt.Sprintf("limit must be between 1 and %d", most))
	}
	return *limit, nil
}

// pageSize is how many a call wants, and one more, which tells whether there is a next page.
func pageSize(limit *int, most int) (int, error) {
	wanted, err := limited(limit, defaultPage, most)
	if err != nil {
		return 0, err
	}
	return wanted + 1, nil
}

// page cuts what was read for a size of pageSize down to the page, and returns the cursor of the next one; nil: there is none.
func page[T any](rows []T, size int, cursor func(T) string) ([]T, *string) {
	if len(rows) < size {
		return rows, nil
	}
	rows = rows[:size-1]
	next := cursor(rows[len(rows)-1])
	return rows, &next
}

// value is what a pointer leads to, or nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
