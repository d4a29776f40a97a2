// A linked device as applications of Baileys run one: it connects again when the server asks for it, and knows which of
// its messages the server has taken.
import { EventEmitter, once } from 'node:events';

import { DisconnectReason, generateMessageIDV2, makeWASocket, proto } from 'baileys';

const ackTimeout = 30_000;

/**
 * A companion tells what happens by events:
 *   qr(text)          a QR to be scanned
 *   open()            logged in
 *   closed(error)     disconnected; the error is undefined after close()
 *   restart()         disconnected by the server to connect again, which is done
 *   message(message)  a message of somebody else, decrypted
 *   update(update)    news of a message it has sent
 */
export class Companion extends EventEmitter {
  #auth;
  #save;
  #settings;
  #acks = new Map();

  /** The auth state is Baileys'; save is called when its credentials have changed. */
  constructor({ auth, save = () => {}, settings }) {
    super();
    this.#auth = auth;
    this.#save = save;
    this.#settings = settings;
  }

  open() {
    const socket = makeWASocket({
      ...this.#settings,
      auth: this.#auth,
      // The phones of the simulator have no history to share, and waiting for the recent one takes 20 s.
      shouldSyncHistoryMessage: ({ syncType }) => syncType !== proto.HistorySync.HistorySyncType.RECENT,
    });
    this.socket = socket;
    socket.ev.on('creds.update', this.#save);
    socket.ev.on('connection.update', update => this.#connection(update));
    socket.ev.on('messages.upsert', ({ messages }) => {
      for (const message of messages) {
        // Baileys merges events: news of a message that was sent just now may come as the message itself.
        if (message.key.fromMe) this.emit('update', { key: message.key, update: { status: message.status } });
        else this.emit('message', message);
      }
    });
    socket.ev.on('messages.update', updates => updates.forEach(update => this.emit('update', update)));
    socket.ws.on('CB:ack,class:message', ack => this.#acks.get(ack.attrs.id)?.(ack.attrs.error));
  }

  /** Opens the companion and waits until it is logged in, disconnected or aborted by the signal. */
  async login(signal) {
    const settled = new AbortController();
    const waiting = { signal: AbortSignal.any([signal, settled.signal]) };
    this.open();
    try {
      await Promise.race([
        once(this, 'open', waiting),
        once(this, 'closed', waiting).then(([error]) => { throw error ?? new Error('closed'); }),
      ]);
    } finally {
      settled.abort();
    }
  }

  /** Disconnects. */
  async close() {
    const closed = once(this, 'closed');
    this.socket.end(undefined);
    await closed;
  }

  #connection({ connection, lastDisconnect, qr }) {
    if (qr) this.emit('qr', qr);
    if (connection === 'open') this.emit('open');
    if (connection !== 'close') return;
    if (lastDisconnect.error?.output?.statusCode === DisconnectReason.restartRequired) {
      this.emit('restart');
      this.open();
    } else {
      this.emit('closed', lastDisconnect.error);
    }
  }

  /** Sends and returns the id of the message once the server has taken it; Baileys itself only waits until it is written. */
  async send(jid, content) {
    const messageId = generateMessageIDV2(this.socket.user.id);
    let timer;
    const acked = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('no ack')), ackTimeout);
      this.#acks.set(messageId, error => (error ? reject(new Error(`refused with ${error}`)) : resolve()));
    });
    try {
      await Promise.all([acked, this.socket.sendMessage(jid, content, { messageId })]);
      return messageId;
    } finally {
      clearTimeout(timer);
      this.#acks.delete(messageId);
    }
  }
}
