package batch //nolint:testpackage // what a request is made into is stored, and nobody else sees it

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
