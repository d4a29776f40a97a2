package company

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
	_ "time/tzdata" // containers have no timezones of their own
)

// ErrInvalidHours says that a company's config does not tell when it is open.
var ErrInvalidHours = errors.New(`workingHours must be like "9:00-18:00", timezone a name like "Europe/Moscow"`)

// WorkingHours is when a company is open: every day from one time to another one, by its own clock. The zero value is
// always open. Hours that end before they begin go over midnight.
type WorkingHours struct {
	from, to int // minutes since midnight; equal: always open
	location *time.Location
}

var hoursPattern = regexp.MustCompile(`^\s*(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})\s*$`)

// HoursOf reads workingHours and timezone from a company's config, which holds other things as well. A config without
// hours is always open; without a timezone they are UTC. ErrInvalidHours: they cannot be read.
func HoursOf(config []byte) (WorkingHours, error) {
	var said struct {
		WorkingHours *string `json:"workingHours"`
		Timezone     string  `json:"timezone"`
	}
	if len(config) == 0 {
		return WorkingHours{}, nil
	}
	if err := json.Unmarshal(config, &said); err != nil {
		return WorkingHours{}, fmt.Errorf("%w: %w", ErrInvalidHours, err)
	}
	if said.WorkingHours == nil || *said.WorkingHours == "" {
		return WorkingHours{}, nil
	}
	location, err := time.LoadLocation(said.Timezone)
	if err != nil || said.Timezone == "Local" { // which would be the server's
		return WorkingHours{}, ErrInvalidHours
	}
	parts := hoursPattern.FindStringSubmatch(*said.WorkingHours)
	if parts == nil {
		return WorkingHours{}, ErrInvalidHours
	}
	from, fromOK := minutes(parts[1], parts[2])
	to, toOK := minutes(parts[3], parts[4])
	if !fromOK || !toOK {
		return WorkingHours{}, ErrInvalidHours
	}
	return WorkingHours{from: from, to: to, location: location}, nil
}

// minutes reads a time of day; 24:00 is the end of the day.
func minutes(hours, mins string) (n int, ok bool) {
	h, _ := strconv.Atoi(hours) // digits, by the pattern
	m, _ := strconv.Atoi(mins)
	return h*60 + m, m < 60 && h*60+m <= 24*60
}

// Next returns t if the company is open then, or else when it opens next.
func (w WorkingHours) Next(t time.Time) time.Time {
	if w.location == nil || w.from == w.to {
		return t
	}
	local := t.In(w.location)
	year, month, day := local.Date()
	at := func(days, minutes int) time.Time {
		return time.Date(year, month, day+days, 0, minutes, 0, 0, w.location) // the clock's, also on days that it is changed
	}
	length := w.to
	if w.to < w.from {
		length += 24 * 60
	}
	for days := -1; ; days++ { // yesterday's hours may not be over
		opens, closes := at(days, w.from), at(days, length)
		switch {
		case t.Before(opens):
			return opens
		case t.Before(closes):
			return t
		}
	}
}
