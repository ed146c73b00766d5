// Keeps a folder of Parquet files up to date with every point of an organisation: node dist/examples/feed.js FOLDER. It writes what
// is new and ends; it goes on from there when it is run again, and each arrival is in one file.
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { Client } from '../src/index.js'

const client = new Client({ server: process.env['LASTSEEN_SERVER'] ?? 'http://127.0.0.1:8080', credential: process.env['LASTSEEN_KEY'] ?? '' })
const folder = process.argv[2] ?? 'points'
const kept = join(folder, 'cursor')
await mkdir(folder, { recursive: true })
let cursor = await readFile(kept, 'utf8').catch(() => undefined)
while ((await client.feedSince(cursor, 1)).points.length > 0) {
  // The file is named by the cursor at which it begins: one that was written before a crash is written again in its place.
  const file = join(folder, `from-${cursor ?? ''}.parquet`)
  const next = await client.download(
    '/tracking/timeseries/session_by_device/data_points_feed/v1',
    { format: 'parquet', limit: 100_000, ...(cursor !== undefined && { cursor }) },
    (body) => pipeline(Readable.fromWeb(body as ReadableStream), createWriteStream(`${file}.part`)), // called again where an answer was cut
  )
  await rename(`${file}.part`, file)
  await writeFile(`${kept}.new`, next ?? '')
  await rename(`${kept}.new`, kept)
  console.log('wrote the points from', cursor ?? 'the beginning', 'to', next)
  cursor = next
}
