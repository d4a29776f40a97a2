package company_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/company"
)

func hours(t *testing.T, config string) company.WorkingHours {
	t.Helper()
	w, err := company.HoursOf([]byte(config))
	require.NoError(t, err, config)
	return w
}

func TestWorkingHours(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ config, at, next string }{
		"in the morning":         {`{"workingHours": "9:00-18:00", "timezone": "Europe/Moscow"}`, "2026-11-27T05:59:59Z", "2026-11-27T06:00:00Z"},
		"at opening time":        {`{"workingHours": "9:00-18:00", "timezone": "Europe/Moscow"}`, "2026-11-27T06:00:00Z", "2026-11-27T06:00:00Z"},
		"during the day":         {`{"workingHours": "09:00 - 18:00", "timezone": "Europe/Moscow"}`, "2026-11-27T14:59:59Z", "2026-11-27T14:59:59Z"},
		"at closing time":        {`{"workingHours": "9:00-18:00", "timezone": "Europe/Moscow"}`, "2026-11-27T15:00:00Z", "2026-11-28T06:00:00Z"},
		"without a timezone":     {`{"workingHours": "9:00-18:00"}`, "2026-11-27T08:00:00Z", "2026-11-27T09:00:00Z"},
		"before midnight":        {`{"workingHours": "22:00-6:00"}`, "2026-11-27T23:00:00Z", "2026-11-27T23:00:00Z"},
		"after midnight":         {`{"workingHours": "22:00-6:00"}`, "2026-11-27T05:00:00Z", "2026-11-27T05:00:00Z"},
		"between the nights":     {`{"workingHours": "22:00-6:00"}`, "2026-11-27T06:00:00Z", "2026-11-27T22:00:00Z"},
		"until midnight":         {`{"workingHours": "10:00-24:00"}`, "2026-11-27T23:59:59Z", "2026-11-27T23:59:59Z"},
		"all day":                {`{"workingHours": "0:00-24:00"}`, "2026-11-27T00:00:00Z", "2026-11-27T00:00:00Z"},
		"never closed":           {`{"workingHours": "9:00-9:00"}`, "2026-11-27T03:00:00Z", "2026-11-27T03:00:00Z"},
		"the clock goes forward": {`{"workingHours": "2:30-8:00", "timezone": "Europe/Berlin"}`, "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"},
		"the clock goes back":    {`{"workingHours": "9:00-18:00", "timezone": "Europe/Berlin"}`, "2026-10-24T20:00:00Z", "2026-10-25T08:00:00Z"},
		"not said":               {`{"greetingMessage": "hi"}`, "2026-11-27T03:00:00Z", "2026-11-27T03:00:00Z"},
		"empty":                  {`{"workingHours": ""}`, "2026-11-27T03:00:00Z", "2026-11-27T03:00:00Z"},
		"null":                   {`null`, "2026-11-27T03:00:00Z", "2026-11-27T03:00:00Z"},
		"nothing":                {``, "2026-11-27T03:00:00Z", "2026-11-27T03:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, err := time.Parse(time.RFC3339, tc.at)
			require.NoError(t, err)
			require.Equal(t, tc.next, hours(t, tc.config).Next(at).UTC().Format(time.RFC3339))
		})
	}
}

func TestHoursThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, config := range []string{
		`{"workingHours": "nine to five"}`, `{"workingHours": "9-18"}`, `{"workingHours": "9:00-25:00"}`, `{"workingHours": "9:60-18:00"}`,
		`{"workingHours": {"mon": "9:00-18:00"}}`, `{"workingHours": "9:00-18:00", "timezone": "Mars/Base"}`,
		`{"workingHours": "9:00-18:00", "timezone": "Local"}`, `{"workingHours": "9:00-18:00", "timezone": 3}`, `[]`, `{`,
	} {
		_, err := company.HoursOf([]byte(config))
		require.ErrorIs(t, err, company.ErrInvalidHours, config)
	}
}

// Whatever a config says: the next time is not before the asked one, at most two days away, and one at which the company
// is open.
func FuzzWorkingHours(f *testing.F) {
	f.Add(`{"workingHours": "9:00-18:00", "timezone": "Europe/Moscow"}`, int64(1795760000))
	f.Add(`{"workingHours": "22:00-6:00", "timezone": "America/New_York"}`, int64(1772954000))
	f.Add(`{"workingHours": "0:00-24:00"}`, int64(0))
	f.Fuzz(func(t *testing.T, config string, unix int64) {
		w, err := company.HoursOf([]byte(config))
		if err != nil {
			return
		}
		at := time.Unix(unix%4e9, 0)
		next := w.Next(at)
		require.False(t, next.Before(at))
		require.LessOrEqual(t, next.Sub(at), 50*time.Hour)
		require.True(t, w.Next(next).Equal(next), "open then")
	})
}
