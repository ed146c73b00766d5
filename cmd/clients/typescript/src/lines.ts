/** Yields the lines of a text that arrives in pieces; the last one needs no end. */
export async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  const reader = body.getReader()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true })
      const whole = rest.split('\n')
      rest = done ? '' : (whole.pop() ?? '')
      for (const line of whole) {
        if (line !== '') yield line
      }
      if (done) return
    }
  } finally {
    await reader.cancel().catch(() => undefined) // who stops early, or was cut
  }
}
