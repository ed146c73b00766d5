// Prints where a session is, and each change: node dist/examples/poll.js SESSION
import { Client } from '../src/index.js'

const client = new Client({ server: process.env['LASTSEEN_SERVER'] ?? 'http://127.0.0.1:8080', credential: process.env['LASTSEEN_KEY'] ?? '' })
const poll = client.poll(process.argv[2] ?? '')
for (;;) {
  const { value: point, changed } = await poll.next({ wait: 30 }) // answered when something changes, or after 30 seconds
  if (!changed) continue
  if (point === null) console.log('nowhere yet')
  else console.log(point.timestamp, point.location.geometry.coordinates[1], point.location.geometry.coordinates[0])
}
