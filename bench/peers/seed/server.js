// A chat in one process: sockets and rooms in memory, one INSERT a message, broadcast once it is stored.
//
// No broker, no numbers, no resume. The frames are those that Palabre's protocol began with. Its database is the one that
// the PG* variables name; it listens on 127.0.0.1 and PORT. Each message is one transaction, so with the database's
// defaults it is on the disk before `message_sent` says so.

import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import pg from 'pg'
import { WebSocket, WebSocketServer } from 'ws'

const HEARTBEAT_MS = 30_000
const BODY_BYTES = 1024 * 1024
const SCHEMA = `
  CREATE TABLE users (id text PRIMARY KEY, name text NOT NULL);
  CREATE TABLE conversations (id text PRIMARY KEY, name text, created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE members (
    conversation_id text NOT NULL REFERENCES conversations, user_id text NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
  );
  CREATE TABLE messages (
    id text PRIMARY KEY, conversation_id text NOT NULL REFERENCES conversations, sender_id text NOT NULL,
    content text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX messages_by_time ON messages (conversation_id, created_at DESC);
`
// Named, so that they are planned once for each connection.
const INSERT = {
  name: 'insert',
  text: 'INSERT INTO messages (id, conversation_id, sender_id, content) VALUES ($1, $2, $3, $4) RETURNING created_at',
}
const NEWEST = {
  name: 'newest',
  text: `SELECT m.id, m.sender_id, u.name, m.content, m.created_at FROM messages m JOIN users u ON u.id = m.sender_id
         WHERE m.conversation_id = $1 ORDER BY m.created_at DESC LIMIT $2`,
}
const OLDER = {
  name: 'older',
  text: `SELECT m.id, m.sender_id, u.name, m.content, m.created_at FROM messages m JOIN users u ON u.id = m.sender_id
         WHERE m.conversation_id = $1 AND m.created_at < $2 ORDER BY m.created_at DESC LIMIT $3`,
}
const IS_MEMBER = { name: 'member', text: 'SELECT 1 FROM members WHERE conversation_id = $1 AND user_id = $2' }
const USER = { name: 'user', text: 'SELECT name FROM users WHERE id = $1' }

const database = new pg.Pool()

// ------------------------------------------------------------------------------------------------------ sockets

class Manager {
  clients = new Map() // socket -> {userId, userName}, null before it has authenticated
  rooms = new Map() // conversation -> sockets

  add(socket) {
    this.clients.set(socket, null)
    socket.alive = true
    socket.on('pong', () => { socket.alive = true })
    socket.on('message', (data) => this.receive(socket, data))
    socket.on('close', () => this.remove(socket))
    socket.on('error', () => socket.terminate())
  }

  remove(socket) {
    this.clients.delete(socket)
    for (const [id, room] of this.rooms) {
      if (room.delete(socket) && room.size === 0) this.rooms.delete(id)
    }
  }

  async receive(socket, data) {
    let message
    try {
      message = JSON.parse(data)
      await this.carryOut(socket, message)
    } catch (error) {
      if (message?.type === 'send_message') {
        send(socket, { type: 'message_error', code: 'INTERNAL', error: String(error), tempId: message.tempId })
      } else {
        send(socket, { type: 'error', code: 'INVALID_FRAME', error: String(error) })
      }
    }
  }

  async carryOut(socket, message) {
    const client = this.clients.get(socket)
    if (message.type === 'authenticate') return this.authenticate(socket, message)
    if (message.type === 'ping') return send(socket, { type: 'pong' })
    if (!client) return send(socket, { type: 'error', code: 'NOT_AUTHENTICATED', error: 'Authenticate first.' })
    switch (message.type) {
      case 'join_conversation': return this.join(socket, client, message)
      case 'leave_conversation': return this.leave(socket, message)
      case 'send_message': return this.sendMessage(socket, client, message)
      case 'typing_start': return this.typing(socket, client, message, 'user_typing')
      case 'typing_stop': return this.typing(socket, client, message, 'user_stopped_typing')
      default: send(socket, { type: 'error', code: 'UNKNOWN_TYPE', error: `${message.type} is not known.` })
    }
  }

  async authenticate(socket, { token }) {
    // The token is the user's id, which nobody should do where it matters. It costs less than a signature.
    const { rows } = await database.query({ ...USER, values: [token] })
    if (rows.length === 0) {
      return send(socket, { type: 'auth_error', code: 'INVALID_TOKEN', error: 'Nobody has this token.' })
    }
    this.clients.set(socket, { userId: token, userName: rows[0].name })
    send(socket, { type: 'authenticated', userId: token, userName: rows[0].name })
  }

  async join(socket, client, { conversationId, limit = 50 }) {
    const member = await database.query({ ...IS_MEMBER, values: [conversationId, client.userId] })
    if (member.rows.length === 0) {
      return send(socket, { type: 'error', code: 'NOT_A_MEMBER', error: 'Not a member.', conversationId })
    }
    const { rows } = await database.query({ ...NEWEST, values: [conversationId, limit] })
    if (!this.rooms.has(conversationId)) this.rooms.set(conversationId, new Set())
    this.rooms.get(conversationId).add(socket)
    send(socket, { type: 'joined_conversation', conversationId })
    for (const message of rising(conversationId, rows)) send(socket, { type: 'new_message', message })
  }

  leave(socket, { conversationId }) {
    this.rooms.get(conversationId)?.delete(socket)
    send(socket, { type: 'left_conversation', conversationId })
  }

  async sendMessage(socket, client, { conversationId, content, tempId }) {
    if (!this.rooms.get(conversationId)?.has(socket)) {
      return send(socket, { type: 'message_error', code: 'NOT_JOINED', error: 'Join first.', tempId, conversationId })
    }
    const id = randomUUID()
    const { rows } = await database.query({ ...INSERT, values: [id, conversationId, client.userId, content] })
    const createdAt = rows[0].created_at
    send(socket, { type: 'message_sent', messageId: id, tempId, conversationId, createdAt })
    const message = describe(id, conversationId, client.userId, client.userName, content, createdAt)
    this.broadcast(conversationId, { type: 'new_message', message })
  }

  typing(socket, client, { conversationId }, type) {
    this.broadcast(conversationId, { type, conversationId, userId: client.userId, userName: client.userName }, socket)
  }

  broadcast(conversationId, frame, but) {
    const text = stamped(frame) // once for all
    for (const socket of this.rooms.get(conversationId) ?? []) {
      if (socket !== but && socket.readyState === WebSocket.OPEN) socket.send(text)
    }
  }

  beat() {
    for (const socket of this.clients.keys()) {
      if (!socket.alive) {
        socket.terminate()
        continue
      }
      socket.alive = false
      socket.ping()
    }
  }
}

function stamped(frame) {
  return JSON.stringify({ ...frame, timestamp: new Date().toISOString() })
}

function send(socket, frame) {
  if (socket.readyState === WebSocket.OPEN) socket.send(stamped(frame))
}

function describe(id, conversationId, senderId, senderName, content, createdAt) {
  return { id, conversationId, senderId, senderName, senderAvatar: null, content, createdAt }
}

function rising(conversationId, rows) {
  return rows.reverse().map((row) =>
    describe(row.id, conversationId, row.sender_id, row.name, row.content, row.created_at))
}

// --------------------------------------------------------------------------------------------------------- REST

async function answer(request) {
  if (request.method === 'GET' && request.url === '/healthz') return [200, { alive: true }]
  if (request.method === 'POST' && request.url === '/api/dev/token') {
    const { userName } = await bodyOf(request)
    const userId = `u-${userName.toLowerCase().replace(/\W+/g, '-')}`
    await database.query('INSERT INTO users VALUES ($1, $2) ON CONFLICT (id) DO NOTHING', [userId, userName])
    return [200, { token: userId, userId }]
  }
  if (request.method === 'POST' && request.url === '/api/conversations') {
    const { name, memberIds } = await bodyOf(request)
    const id = randomUUID()
    const members = [...new Set([callerOf(request), ...memberIds])]
    await database.query('INSERT INTO conversations (id, name) VALUES ($1, $2)', [id, name])
    await database.query('INSERT INTO members SELECT $1, unnest($2::text[])', [id, members])
    return [201, { id, name }]
  }
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  const messages = pathname.match(/^\/api\/conversations\/([^/]+)\/messages$/)
  if (request.method === 'GET' && messages) return page(request, messages[1], searchParams)
  return [404, { title: 'Not found' }]
}

async function page(request, conversationId, asked) {
  const member = await database.query({ ...IS_MEMBER, values: [conversationId, callerOf(request)] })
  if (member.rows.length === 0) return [403, { title: 'Not a member' }]
  const { rows } = await database.query({ ...OLDER, values: [conversationId, asked.get('before'), asked.get('limit')] })
  return [200, { items: rising(conversationId, rows) }]
}

function callerOf(request) {
  return request.headers.authorization?.replace('Bearer ', '')
}

async function bodyOf(request) {
  let text = ''
  for await (const part of request) {
    text += part
    if (text.length > BODY_BYTES) throw new Error('The body is too large.')
  }
  return JSON.parse(text)
}

const http = createServer(async (request, response) => {
  let status, body
  try {
    [status, body] = await answer(request)
  } catch (error) {
    [status, body] = [400, { title: String(error) }]
  }
  const text = JSON.stringify(body)
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  response.writeHead(status, headers).end(text)
})

// -------------------------------------------------------------------------------------------------------- start

await database.query(SCHEMA)
const manager = new Manager()
const sockets = new WebSocketServer({ server: http, path: '/ws/chat', maxPayload: 64 * 1024 })
sockets.on('connection', (socket) => manager.add(socket))
setInterval(() => manager.beat(), HEARTBEAT_MS)
http.listen(Number(process.env.PORT), '127.0.0.1')

process.on('SIGTERM', async () => {
  http.close()
  for (const socket of manager.clients.keys()) socket.terminate()
  await database.end()
  process.exit(0)
})
