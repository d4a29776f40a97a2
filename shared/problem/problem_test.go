package problem_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"wafleet/shared/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// contract is the part of openapi.yaml that speaks of errors.
type contract struct {
	Catalogue []struct {
		Code, Class string
		Status      int
		Retryable   bool
		Meaning     string
	} `yaml:"x-error-catalogue"`
	Components struct {
		Schemas struct {
			ErrorCode struct{ Enum []string } `yaml:"ErrorCode"`
		}
	}
}

func TestCatalogueIsTheContracts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../api/openapi.yaml")
	require.NoError(t, err)
	var c contract
	require.NoError(t, yaml.Unmarshal(text, &c))

	type row struct {
		code, class string
		status      int
		retryable   bool
	}
	var documented, defined []row
	var codes []string
	for _, r := range c.Catalogue {
		require.NotEmpty(t, r.Meaning, r.Code)
		documented = append(documented, row{r.Code, r.Class, r.Status, r.Retryable})
		codes = append(codes, r.Code)
	}
	for _, p := range problem.Catalogue() {
		defined = append(defined, row{string(p.Code), string(p.Class), p.Status, p.Retryable})
	}
	require.ElementsMatch(t, documented, defined)
	require.ElementsMatch(t, codes, c.Components.Schemas.ErrorCode.Enum)
}

func TestCatalogueIsSound(t *testing.T) {
	t.Parallel()
	codes, classes := map[problem.Code]bool{}, map[problem.Class]bool{}
	for _, p := range problem.Catalogue() {
		require.False(t, codes[p.Code], "%s is there twice", p.Code)
		codes[p.Code] = true
		classes[p.Class] = true
		require.Regexp(t, `^[A-Z]+(_[A-Z]+)*$`, string(p.Code))
		require.NotEmpty(t, p.Message, p.Code)
		require.Nil(t, p.Details, p.Code)
		require.GreaterOrEqual(t, p.Status, 400, p.Code)
		require.True(t, p.Retryable || p.After == 0, p.Code)
	}
	require.Len(t, classes, 13, "the predecessor's twelve and their base")
}

func TestFrom(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	require.Nil(t, problem.From(nil))
	require.Same(t, problem.Validation, problem.From(problem.Validation))
	require.Equal(t, "TIMEOUT", string(problem.From(fmt.Errorf("ask: %w", context.DeadlineExceeded)).Code))

	unknown := problem.From(boom)
	require.Equal(t, "INTERNAL_ERROR", string(unknown.Code))
	require.ErrorIs(t, unknown, boom)
	require.NotContains(t, unknown.Message, "boom")

	wrapped := fmt.Errorf("send: %w", problem.Database.Because(boom))
	require.ErrorIs(t, wrapped, problem.Database)
	require.ErrorIs(t, wrapped, boom)
	require.NotErrorIs(t, wrapped, problem.Connection)
	require.Equal(t, 503, problem.From(wrapped).Status)
}

func TestCopiesLeaveTheCatalogueAlone(t *testing.T) {
	t.Parallel()
	one := problem.Validation.Saying("one").With("field", "a").RetryAfter(time.Second).Because(errors.New("x"))
	two := one.With("field", "b").With("more", 1).Final()

	require.Equal(t, "The request is not valid", problem.Validation.Message)
	require.Nil(t, problem.Validation.Details)
	require.False(t, problem.Validation.Retryable)
	require.NoError(t, problem.Validation.Unwrap())
	require.Equal(t, map[string]any{"field": "a"}, one.Details)
	require.Equal(t, map[string]any{"field": "b", "more": 1}, two.Details)
	require.True(t, one.Retryable)
	require.False(t, two.Retryable)
	require.Zero(t, two.After)
	require.ErrorIs(t, two, problem.Validation)
	require.EqualError(t, one, "VALIDATION_ERROR: one: x")

	problem.Catalogue()[0] = nil
	require.NotNil(t, problem.Catalogue()[0])
}
