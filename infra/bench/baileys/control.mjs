// The part of the simulator's control API that a load needs.

export class Control {
  #url;
  #signal;

  constructor(url, signal) {
    this.#url = url;
    this.#signal = signal;
  }

  /** What a client must know to reach and trust the simulator. */
  root() {
    return this.#call('GET', '/root');
  }

  /** Makes an account with its phone. */
  addPhone(phone) {
    return this.#call('POST', '/phones', { phone });
  }

  /** Lets a phone scan a QR; it returns once the companion has confirmed the pairing. */
  scan(phone, qr) {
    return this.#call('POST', `/phones/${phone}/scan`, { qr });
  }

  stats() {
    return this.#call('GET', '/stats');
  }

  async #call(method, path, body) {
    const response = await fetch(this.#url + path, {
      method, body: body && JSON.stringify(body), headers: { 'content-type': 'application/json' }, signal: this.#signal,
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}
