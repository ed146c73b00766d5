// Prints where sessions are: node dist/examples/batch.js SESSION…
import { Client } from '../src/index.js'

const client = new Client({ server: process.env['LASTSEEN_SERVER'] ?? 'http://127.0.0.1:8080', credential: process.env['LASTSEEN_KEY'] ?? '' })
const sessions = process.argv.slice(2)
const { value: newest } = await client.batch(sessions).next()
newest.data_points.forEach((point, i) => {
  if (point === null) console.log(sessions[i], 'nowhere')
  else console.log(sessions[i], point.timestamp, point.location.geometry.coordinates[1], point.location.geometry.coordinates[0])
})
