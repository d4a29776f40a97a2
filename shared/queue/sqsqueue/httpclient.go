package sqsqueue

import (
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// httpClient keeps answers from being cut off. smithy-go (1.28) closes a request's body as soon as the answer's head is there;
// net/http may still be probing that body for excess bytes, through WriteTo, which then fails with io.EOF. net/http takes
// that for a failed request and closes the connection under the answer. The SDK asks again, and the messages of the
// first answer stay invisible for a whole visibility timeout. Read does not fail in that way, so Read is all we
// show of a body.
type httpClient struct {
	sqs.HTTPClient
}

// Do implements sqs.HTTPClient.
func (c httpClient) Do(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		request = request.WithContext(request.Context()) // a copy: the original is not ours
		request.Body = readCloser{request.Body}
	}
	response, err := c.HTTPClient.Do(request)
	if err != nil {
		return response, fmt.Errorf("call server: %w", err)
	}
	return response, nil
}

// readCloser hides every other method of what it holds.
type readCloser struct {
	io.ReadCloser
}
