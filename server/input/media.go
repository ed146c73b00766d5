package input

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// MediaType returns a content type without its parameters, in lower case.
func MediaType(contentType []byte) string {
	name, _, _ := bytes.Cut(contentType, []byte{';'})
	return strings.ToLower(string(bytes.TrimSpace(name)))
}

// IsJSON reports whether a media type is JSON, by itself or by its suffix.
func IsJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}

// EncodingName returns the content encoding in lower case, empty for none.
func EncodingName(request *fasthttp.RequestHeader) string {
	name := strings.ToLower(strings.TrimSpace(string(request.Peek(fasthttp.HeaderContentEncoding))))
	if name == "identity" {
		return ""
	}
	return name
}
