/* CV1 voucher codes, judged by a terminal with public keys only. One file, no dependency; needs BigInt (ES2020).
 *
 *   const ring = CV1Verifier.keyRing(answer.voucher_code);   // GET /v1/public/keys, or `keys` of the offline kit
 *   const told = CV1Verifier.verify(text, {ring, scopeNo: 71, nowS, seen: (codeId) => used.has(codeId)});
 *   // {ok: true, frame: {kid, codeId, scopeNo, notAfterS}} or {ok: false, refusal: "code_too_old"}
 *
 * `refusal` is in the words of the API. The order of the checks is part of the format: length, prefix, alphabet,
 * version, key, signature, store, time, code id. The same checks as cv1_verifier.py, tested on the same vectors.
 * Nothing here is secret, so nothing here needs constant time.
 */
(function (root, make) {
  "use strict";
  var made = make();
  if (typeof module === "object" && module.exports) module.exports = made;
  else root.CV1Verifier = made;
})(typeof globalThis === "object" ? globalThis : this, function () {
  "use strict";

  const PREFIX = "CV1", LENGTH = 147, LONGEST_SCAN = 512;
  const VERSION_ED25519 = 0x12;
  const STEP_S = 30, GRACE_S = 30, ONLINE_ONLY = 0;
  const FRAME_LENGTH = 26, SIGNATURE_LENGTH = 64;
  const DOMAIN = bytesOfText("carbon-voucher-qr-v1\0");
  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

  class Refused extends Error {}

  // --- SHA-512 (FIPS 180-4); its constants are computed as the standard defines them ---

  const WORD = (value) => BigInt.asUintN(64, value);
  const PRIMES = (() => {
    const found = [];
    for (let n = 2; found.length < 80; n++) if (found.every((p) => n % p !== 0)) found.push(n);
    return found.map(BigInt);
  })();
  const FRACTIONS = (power, shift) => (prime) => WORD(wholeRoot(prime << shift, power));
  const K = PRIMES.map(FRACTIONS(3n, 192n));
  const H = PRIMES.slice(0, 8).map(FRACTIONS(2n, 128n));

  function wholeRoot(value, power) {
    let low = 0n, high = 1n << 80n;
    while (low + 1n < high) {
      const middle = (low + high) >> 1n;
      if (middle ** power <= value) low = middle;
      else high = middle;
    }
    return low;
  }

  function turned(word, by) {
    return WORD((word >> by) | (word << (64n - by)));
  }

  function sha512(message) {
    const padded = new Uint8Array(((message.length + 17 + 127) >> 7) << 7);
    padded.set(message);
    padded[message.length] = 0x80;
    let bits = BigInt(message.length) * 8n;
    for (let at = padded.length - 1; bits > 0n; at--, bits >>= 8n) padded[at] = Number(bits & 0xffn);
    const state = H.slice();
    for (let block = 0; block < padded.length; block += 128) digestBlock(state, padded, block);
    const out = new Uint8Array(64);
    state.forEach((word, index) => {
      for (let at = 7; at >= 0; at--, word >>= 8n) out[index * 8 + at] = Number(word & 0xffn);
    });
    return out;
  }

  function digestBlock(state, padded, block) {
    const w = [];
    for (let at = 0; at < 16; at++) w.push(numberBig(padded.subarray(block + at * 8, block + at * 8 + 8)));
    for (let at = 16; at < 80; at++) {
      const x = w[at - 15], y = w[at - 2];
      const s0 = turned(x, 1n) ^ turned(x, 8n) ^ (x >> 7n);
      const s1 = turned(y, 19n) ^ turned(y, 61n) ^ (y >> 6n);
      w.push(WORD(w[at - 16] + s0 + w[at - 7] + s1));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let at = 0; at < 80; at++) {
      const s1 = turned(e, 14n) ^ turned(e, 18n) ^ turned(e, 41n);
      const t1 = WORD(h + s1 + ((e & f) ^ (~e & g)) + K[at] + w[at]);
      const s0 = turned(a, 28n) ^ turned(a, 34n) ^ turned(a, 39n);
      const t2 = WORD(s0 + ((a & b) ^ (a & c) ^ (b & c)));
      [h, g, f, e, d, c, b, a] = [g, f, e, WORD(d + t1), c, b, a, WORD(t1 + t2)];
    }
    [a, b, c, d, e, f, g, h].forEach((word, at) => { state[at] = WORD(state[at] + word); });
  }

  // --- Ed25519 (RFC 8032, 5.1), verification only ---

  const P = (1n << 255n) - 19n;
  const L = (1n << 252n) + 27742317777372353535851937790883648493n;
  const mod = (value) => { const rest = value % P; return rest < 0n ? rest + P : rest; };

  function power(base, exponent) {
    let result = 1n;
    for (base = mod(base); exponent > 0n; exponent >>= 1n, base = (base * base) % P)
      if (exponent & 1n) result = (result * base) % P;
    return result;
  }

  const inverse = (value) => power(value, P - 2n);
  const D = mod(-121665n * inverse(121666n));
  const D2 = mod(2n * D);
  const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);
  const NOTHING = {x: 0n, y: 1n, z: 1n, t: 0n};

  function added(p, q) {
    const a = mod((p.y - p.x) * (q.y - q.x)), b = mod((p.y + p.x) * (q.y + q.x));
    const c = mod(p.t * D2 * q.t), d = mod(2n * p.z * q.z);
    const e = b - a, f = d - c, g = d + c, h = b + a;
    return {x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h)};
  }

  function pointAt(y, sign) {
    const u = mod(y * y - 1n), v = mod(D * y * y + 1n);
    let x = mod(u * v ** 3n * power(u * v ** 7n, (P - 5n) / 8n));
    if (mod(v * x * x) !== u) x = mod(x * ROOT_OF_MINUS_ONE);
    if (mod(v * x * x) !== u || (x === 0n && sign)) return null;
    if ((x & 1n) !== sign) x = mod(-x);
    return {x, y, z: 1n, t: mod(x * y)};
  }

  // Every multiple of a point that a nibble of a number can ask for, so that a multiplication only adds.
  function multiples(point) {
    const rows = [];
    for (let row = 0, base = point; row < 64; row++) {
      const entries = [NOTHING];
      for (let nibble = 1; nibble < 16; nibble++) entries.push(added(entries[nibble - 1], base));
      rows.push(entries);
      base = added(entries[15], base);
    }
    return rows;
  }

  function times(rows, number, sum) {
    for (let row = 0; row < 64; row++, number >>= 4n) {
      const nibble = Number(number & 15n);
      if (nibble) sum = added(sum, rows[row][nibble]);
    }
    return sum;
  }

  const BASE = multiples(pointAt(mod(4n * inverse(5n)), 0n));

  function publicKey(bytes) {
    const number = numberLittle(bytes), y = number & ((1n << 255n) - 1n);
    const point = bytes.length === 32 && y < P ? pointAt(y, number >> 255n) : null;
    if (point === null) throw new Error("not an Ed25519 public key");
    return {bytes, minus: multiples({x: mod(-point.x), y: point.y, z: 1n, t: mod(-point.t)})};
  }

  function signatureHolds(key, message, signature) {
    const r = signature.subarray(0, 32), s = numberLittle(signature.subarray(32));
    if (s >= L) return false; // a second spelling of the same signature (RFC 8032, 5.1.7)
    const k = numberLittle(sha512(joined(r, key.bytes, message))) % L;
    const found = times(key.minus, k, times(BASE, s, NOTHING));
    const over = inverse(found.z), x = mod(found.x * over), y = mod(found.y * over);
    return numberLittle(r) === (y | ((x & 1n) << 255n));
  }

  // --- bytes ---

  function numberBig(bytes) {
    return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
  }

  function numberLittle(bytes) {
    return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
  }

  function bytesOfText(text) {
    return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  }

  function bytesOfHex(text) {
    if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error("not hexadecimal");
    return Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
  }

  function hexOf(bytes) {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function joined(...parts) {
    const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    parts.reduce((at, part) => { out.set(part, at); return at + part.length; }, 0);
    return out;
  }

  function bytesOfBase32(text) {
    const out = new Uint8Array((text.length * 5) / 8);
    let bits = 0, held = 0, at = 0;
    for (const letter of text) {
      held = ((held << 5) | ALPHABET.indexOf(letter)) & 0xfff;
      bits += 5;
      if (bits >= 8) { bits -= 8; out[at++] = (held >> bits) & 0xff; }
    }
    return out;
  }

  function uint32(bytes, at) {
    return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
  }

  // --- the code ---

  /* Published keys by id: objects with `kid`, `public_key` (hexadecimal), `retired` and perhaps `retired_at`. */
  function keyRing(published) {
    const keys = new Map();
    for (const key of published) {
      let retiredFromS = key.retired ? 0 : Infinity;
      if (key.retired_at) retiredFromS = Date.parse(key.retired_at) / 1000;
      if (Number.isNaN(retiredFromS)) throw new Error("retired_at is no instant");
      keys.set(key.kid, {key: publicKey(bytesOfHex(key.public_key)), retiredFromS});
    }
    return keys;
  }

  function read(text, ring, nowS) {
    // Counted as characters, as the other verifier counts them, not as halves of surrogate pairs.
    if (Array.from(text).length !== LENGTH) throw new Refused("code_wrong_length");
    if (!text.startsWith(PREFIX)) throw new Refused("code_wrong_prefix");
    const body = text.slice(PREFIX.length);
    if (!/^[A-Z2-7]{144}$/.test(body)) throw new Refused("code_not_canonical");
    const raw = bytesOfBase32(body);
    const frame = raw.subarray(0, FRAME_LENGTH), signature = raw.subarray(FRAME_LENGTH);
    if (frame[0] !== VERSION_ED25519) throw new Refused("code_version_unknown");
    const known = ring.get(frame[1]);
    if (known === undefined || known.retiredFromS <= nowS) throw new Refused("code_key_unknown");
    if (signature.length !== SIGNATURE_LENGTH || !signatureHolds(known.key, joined(DOMAIN, frame), signature))
      throw new Refused("code_signature_wrong");
    return {
      kid: frame[1],
      codeId: hexOf(frame.subarray(2, 18)),
      scopeNo: uint32(frame, 18),
      notAfterS: uint32(frame, 22),
    };
  }

  function judged(text, asked, offline) {
    if (!Number.isInteger(asked.nowS) || !Number.isInteger(asked.scopeNo)) throw new Error("nowS and scopeNo are whole");
    const frame = read(text, asked.ring, asked.nowS);
    if (frame.scopeNo !== ONLINE_ONLY && frame.scopeNo !== asked.scopeNo) throw new Refused("code_for_another_store");
    const aheadS = frame.notAfterS - asked.nowS;
    if (aheadS > STEP_S + GRACE_S) throw new Refused("code_not_yet_valid");
    if (aheadS < -GRACE_S) throw new Refused("code_too_old");
    if (asked.seen(frame.codeId)) throw new Refused("code_seen");
    if (offline && frame.scopeNo === ONLINE_ONLY) throw new Refused("code_online_only");
    return frame;
  }

  function answered(work) {
    try {
      return {ok: true, frame: work()};
    } catch (refused) {
      if (refused instanceof Refused) return {ok: false, refusal: refused.message};
      throw refused;
    }
  }

  return {
    keyRing,
    /* asked: {ring, scopeNo, nowS, seen(codeId as hexadecimal)} */
    verify: (text, asked) => answered(() => judged(text, asked, false)),
    /* As verify, for a terminal that cannot ask: a code without a store is code_online_only. */
    verifyOffline: (text, asked) => answered(() => judged(text, asked, true)),
    /* What a scanner typed, as a code is written: full-width letters of an input method become ASCII. */
    scanned: (text) =>
      Array.from(text).length > LONGEST_SCAN ? text : text.normalize("NFKC").replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ""),
  };
});
