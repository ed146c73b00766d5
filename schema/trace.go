package schema

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// traced begins a span of a statement where the one that it is for is recorded, and returns how to end it. The span says of
// what kind the statement is, and nothing of its text, its parameters and its result.
func traced(ctx context.Context, kind statementKind) (context.Context, func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, untraced
	}
	ctx, span := parent.TracerProvider().Tracer("lastseen/schema").Start(ctx, "clickhouse "+kindNames[kind], trace.WithSpanKind(trace.SpanKindClient))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

func untraced(error) {}
