import { type Clock, every, type Timer } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { type Credentials, readCredentials, secureContextOf } from "./credentials.ts";

/** How often the files are looked at: 10 s, as often as Kubernetes changes a mounted secret at most. */
const lookEveryMs = 10_000;

export interface CredentialsOwner {
  /** Reload the listeners; channels ask for `current` at their next connect. */
  changed: (next: Credentials) => void;
  /** The files on disk are not usable; the former ones stay in use. */
  failed: (reason: string) => void;
}

/** Certificates from a folder that somebody else renews. Files that do not fit together yet are left for the next look. */
export class WatchedCredentials {
  #current: Credentials;
  #timer: Timer | undefined;
  readonly #clock: Clock;
  readonly #folder: string;
  readonly #told: CredentialsOwner;

  /** Throws INVALID when the files are not usable at the start. */
  constructor(clock: Clock, folder: string, told: CredentialsOwner) {
    this.#clock = clock;
    this.#folder = folder;
    this.#told = told;
    this.#current = readCredentials(folder);
    secureContextOf(this.#current);
  }

  /** The same object until the files change. */
  get current(): Credentials {
    return this.#current;
  }

  start(): void {
    this.#timer ??= every(this.#clock, lookEveryMs, () => this.look());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Reads the files now. */
  look(): void {
    try {
      const next = readCredentials(this.#folder);
      const { ca, certificate, key, crl } = this.#current;
      if (next.ca === ca && next.certificate === certificate && next.key === key && next.crl === crl) return;
      secureContextOf(next);
      this.#current = next;
    } catch (error) {
      this.#told.failed(messageOf(error));
      return;
    }
    this.#told.changed(this.#current);
  }
}
