package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/webhook"
)

func TestDefaultScheduleSpansThreeDays(t *testing.T) {
	t.Parallel()
	s := webhook.DefaultSchedule()
	require.Equal(t, "0s,5s,5m0s,30m0s,2h0m0s,5h0m0s,10h0m0s,10h0m0s,10h0m0s,10h0m0s,10h0m0s,10h0m0s,10h0m0s", s.String())
	require.GreaterOrEqual(t, s.Span(), 72*time.Hour)
	require.Equal(t, 13, s.Attempts())
}

func TestParseSchedule(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0":               "0s",
		"0,5s,5m":         "0s,5s,5m0s",
		" 0 , 5s ":        "0s,5s",
		"0s,1.5s":         "0s,1.5s",
		"1s,1s":           "0s,1s,1s",
		"5s":              "0s,5s",
		"0,0,0":           "0s,0s,0s",
		"0,40h,…":         "0s,40h0m0s,40h0m0s",
		"0,40h,...":       "0s,40h0m0s,40h0m0s",
		"0,72h,…":         "0s,72h0m0s",
		"0,100ms,200ms":   "0s,100ms,200ms",
		"24h,24h,24h,24h": "0s,24h0m0s,24h0m0s,24h0m0s,24h0m0s",
	} {
		s, err := webhook.ParseSchedule(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.String(), text)
		again, err := webhook.ParseSchedule(s.String())
		require.NoError(t, err)
		require.True(t, s.Equal(again), text)
	}
	for _, text := range []string{"", ",", "0,", "5", "0,-5s", "0,5 s,soon", "0,8d", "0,200h", "…", "0,…", "…,5s", "0,1ms,…", "0;5s"} {
		_, err := webhook.ParseSchedule(text)
		require.ErrorIs(t, err, webhook.ErrInvalidSchedule, text)
	}
}

func TestScheduleFromConfiguration(t *testing.T) {
	t.Parallel()
	var s webhook.Schedule
	require.NoError(t, s.UnmarshalText([]byte("0,1s")))
	text, err := s.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "0s,1s", string(text))
	require.ErrorIs(t, s.UnmarshalText([]byte("x")), webhook.ErrInvalidSchedule)
}

func TestNextAddsJitterAndEnds(t *testing.T) {
	t.Parallel()
	s, err := webhook.ParseSchedule("0,10s,1h")
	require.NoError(t, err)
	different := map[time.Duration]bool{}
	for range 200 {
		delay, ok := s.Next(1)
		require.True(t, ok)
		require.GreaterOrEqual(t, delay, 10*time.Second, "jitter never shortens a step")
		require.LessOrEqual(t, delay, 11*time.Second)
		different[delay] = true
	}
	require.Greater(t, len(different), 100, "no jitter")
	_, ok := s.Next(2)
	require.True(t, ok)
	_, ok = s.Next(3)
	require.False(t, ok)
	require.Equal(t, time.Hour, s.Delay(2))
	require.Equal(t, time.Hour, s.Delay(99))
	require.Equal(t, time.Hour+10*time.Second, s.Span())
}

func FuzzParseSchedule(f *testing.F) {
	for _, seed := range []string{"0,5s,5m,30m,2h,5h,10h,…", "1s,...", "", "0,9999999h", "0,-1s,…", "0,1ns,…"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := webhook.ParseSchedule(text)
		if err != nil {
			require.ErrorIs(t, err, webhook.ErrInvalidSchedule)
			return
		}
		require.Positive(t, s.Attempts())
		require.LessOrEqual(t, s.Attempts(), 1000)
		require.GreaterOrEqual(t, s.Span(), time.Duration(0))
		again, err := webhook.ParseSchedule(s.String())
		require.NoError(t, err)
		require.True(t, s.Equal(again))
	})
}
