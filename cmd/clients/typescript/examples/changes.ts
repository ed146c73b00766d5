// Prints the newest point of every session of an organisation, and then each change: node dist/examples/changes.js
import { Client, type DataPoint } from '../src/index.js'

const client = new Client({ server: process.env['LASTSEEN_SERVER'] ?? 'http://127.0.0.1:8080', credential: process.env['LASTSEEN_KEY'] ?? '' })
const known = new Map<string, DataPoint>()
for await (const changes of client.changes()) { // or from the next_cursor that was kept
  if (changes.reset) known.clear()
  for (const point of changes.data_points) {
    known.set(point.metadata.session_id, point)
    console.log(point.metadata.session_id, point.timestamp, point.location.geometry.coordinates[1], point.location.geometry.coordinates[0])
  }
  for (const session of changes.gone) {
    known.delete(session)
    console.log(session, 'gone')
  }
}
