// A Baileys client that a test drives: commands come as lines of JSON on stdin, answers and events go out as such on
// stdout. It ends when stdin does.
//
//   NODE_EXTRA_CA_CERTS=ca.pem node peer.mjs '{"root": <GET /root>, "authDir": "folder"}'
//
//   {"id": 1, "do": "sendText", "with": {"to": "79001234567", "text": "hi"}}
//   {"answer": 1, "result": "3EB0…"}, or {"answer": 1, "error": "…"}
//   {"event": "message", "id": "3EB0…", "from": "…", "type": "conversation", "text": "hi"}
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';

import { downloadMediaMessage, getContentType, jidNormalizedUser, proto, useMultiFileAuthState } from 'baileys';

import { Companion } from './companion.mjs';
import { listen } from './logger.mjs';
import { reach } from './simulator.mjs';

const { root, authDir } = JSON.parse(process.argv[2]);
const say = line => process.stdout.write(JSON.stringify(line) + '\n');
const tell = (event, more) => say({ event, ...more });

const { state, saveCreds } = await useMultiFileAuthState(authDir);
const logger = listen({
  complain: (level, text) => tell('complaint', { level, text }),
  unhandled: frame => tell('unhandled', { tag: frame.tag, attrs: frame.attrs }),
});
const companion = new Companion({ auth: state, save: saveCreds, settings: { ...reach(root), logger } });

companion.on('qr', qr => tell('qr', { qr }));
companion.on('restart', () => tell('restart'));
companion.on('open', () => tell('open', { jid: companion.socket.user.id, lid: companion.socket.user.lid }));
companion.on('closed', error => tell('closed', { code: error?.output?.statusCode, text: error?.message }));
companion.on('update', ({ key, update }) =>
  tell('status', { id: key.id, status: proto.WebMessageInfo.Status[update.status] }));
companion.on('message', message =>
  describe(message).then(told => tell('message', told), error => tell('complaint', { level: 'error', text: error.message })));

/** What a message says. Its file is fetched from the media server and decrypted. */
async function describe(message) {
  const { id, remoteJid, remoteJidAlt } = message.key;
  const type = getContentType(message.message);
  const content = message.message?.[type];
  const told = { id, from: remoteJid, fromAlt: remoteJidAlt, name: message.pushName, type };
  switch (type) {
    case 'conversation':
      return { ...told, text: content };
    case 'extendedTextMessage':
      return { ...told, text: content.text };
    case 'imageMessage': {
      // fetch() takes no agent, so the name of the media host is replaced here.
      const file = await downloadMediaMessage(message, 'buffer', { host: root.endpoint });
      return { ...told, text: content.caption, mimeType: content.mimetype, sha256: createHash('sha256').update(file).digest('hex') };
    }
    default:
      return told;
  }
}

const jid = phone => `${phone}@s.whatsapp.net`;

const commands = {
  open: () => companion.open(),
  close: () => companion.close(),
  logout: () => companion.socket.logout(),
  requestCode: ({ phone }) => companion.socket.requestPairingCode(phone),
  onWhatsApp: ({ phones }) => companion.socket.onWhatsApp(...phones),
  sendText: ({ to, text }) => companion.send(jid(to), { text }),
  sendImage: ({ to, file, mimeType, caption, thumbnail }) =>
    companion.send(jid(to), {
      image: Buffer.from(file, 'base64'), mimetype: mimeType, caption, jpegThumbnail: thumbnail,
    }),
  markRead: ({ from, id }) => companion.socket.readMessages([{ remoteJid: jidNormalizedUser(from), id }]),
};

async function obey(line) {
  const command = JSON.parse(line);
  const { id } = command;
  try {
    say({ answer: id, result: (await commands[command.do](command.with ?? {})) ?? null });
  } catch (error) {
    say({ answer: id, error: error.message });
  }
}

const input = createInterface({ input: process.stdin });
input.on('line', obey);
input.on('close', async () => {
  await saveCreds(); // After the writes that are under way.
  process.exit(0);
});
