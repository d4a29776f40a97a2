// What an unmodified Baileys needs to reach a simulator instead of WhatsApp. It still asks for web.whatsapp.com and
// mmg.whatsapp.net; only where these names lead to, and whose certificates are believed, is another.
import { Agent } from 'node:https';

import { WA_CERT_DETAILS } from 'baileys';

const redirected = new Set(['web.whatsapp.com', 'mmg.whatsapp.net']);

/** An agent whose connections to WhatsApp's names lead to the simulator. All other names are refused. */
class Redirect extends Agent {
  #host;
  #port;

  constructor(endpoint, ca) {
    super({ ca, keepAlive: false });
    const { hostname, port } = new URL(`https://${endpoint}`);
    this.#host = hostname;
    this.#port = Number(port);
  }

  createConnection(options, callback) {
    if (!redirected.has(options.host)) throw new Error(`${options.host} is not a host of WhatsApp`);
    return super.createConnection({ ...options, servername: options.host, host: this.#host, port: this.#port }, callback);
  }
}

/**
 * Trusts the simulator that `GET /root` of its control API describes, for the whole process, and returns the settings
 * by which sockets of Baileys reach it.
 */
export function reach({ endpoint, caPem, noiseRoot }) {
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(noiseRoot, 'hex');
  const agent = new Redirect(endpoint, caPem);
  return { agent, fetchAgent: agent };
}
