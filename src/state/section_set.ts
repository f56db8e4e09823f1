/**
 * The sections of an image, taken one after the other by those who restore.
 *
 * @module
 */

import type { StateSection } from "./component.ts";
import { ImageError } from "./errors.ts";
import { describeSection } from "./section.ts";

/**
 * Sections that wait to be taken.
 *
 * Restoring takes what it knows, then calls {@linkcode SectionSet.finish}: a
 * section that is missing, and one that nobody took, are both errors.
 */
export class SectionSet<T extends StateSection = StateSection> {
  /** Those not yet taken, in the order of the image. */
  readonly #left: Set<T>;

  /**
   * Holds `sections` until they are taken.
   *
   * @param sections of one image, in its order
   */
  constructor(sections: Iterable<T>) {
    this.#left = new Set(sections);
  }

  /**
   * Whether there is a section of this kind (and id) that was not yet taken.
   */
  has(kind: string, id?: string): boolean {
    return this.#find(kind, id).length > 0;
  }

  /**
   * Takes the one section of a component.
   *
   * @param kind of the component
   * @param id of the component; absent: the only one of its kind
   * @throws {ImageError} IMAGE_MISSING when there is none, IMAGE_STATE when
   * there is more than one
   */
  take(kind: string, id?: string): T {
    const sections = this.takeParts(kind, id);
    if (sections.length > 1) {
      throw new ImageError(
        "IMAGE_STATE",
        `Cannot load ${
          describeSection(sections[0])
        }: it has ${sections.length} parts, expected one`,
        { section: describeSection(sections[1]) },
      );
    }
    return sections[0];
  }

  /**
   * Takes all parts of one component, in order.
   *
   * @param kind of the component
   * @param id of the component; absent: the only one of its kind
   * @throws {ImageError} IMAGE_MISSING when there is none, IMAGE_STATE when
   * there is more than one component
   */
  takeParts(kind: string, id?: string): T[] {
    const sections = this.#find(kind, id);
    if (sections.length === 0) {
      const name = id === undefined ? kind : `${kind} "${id}"`;
      throw new ImageError(
        "IMAGE_MISSING",
        `Cannot restore: the image has no state of ${name}`,
        { section: name },
      );
    }
    const other = sections.find((section) => section.id !== sections[0].id);
    if (other) {
      throw new ImageError(
        "IMAGE_STATE",
        `Cannot load ${describeSection(other)}: there is also ${
          describeSection(sections[0])
        }, expected one of this kind`,
        { section: describeSection(other) },
      );
    }
    for (const section of sections) this.#left.delete(section);
    return sections;
  }

  /**
   * Takes every section of a kind, of every id and part, in the order of the
   * image; none when there is none.
   */
  takeAll(kind: string): T[] {
    const sections = this.#find(kind);
    for (const section of sections) this.#left.delete(section);
    return sections;
  }

  /**
   * Says that all was taken.
   *
   * @throws {ImageError} IMAGE_LEFTOVER naming every section that was not:
   * what is left out of a restore would be lost without a word
   */
  finish(): void {
    const left = new Set(
      [...this.#left].map((section) =>
        describeSection({ ...section, part: 0 })
      ),
    );
    if (left.size === 0) return;
    const names = [...left].slice(0, 10).join(", ");
    const more = left.size > 10 ? ` and ${left.size - 10} more` : "";
    throw new ImageError(
      "IMAGE_LEFTOVER",
      `Cannot restore: nothing here takes ${names}${more}`,
      {
        section: [...left][0],
        hint: "restore with the version and the devices it was saved with",
      },
    );
  }

  #find(kind: string, id?: string): T[] {
    return [...this.#left].filter((section) =>
      section.kind === kind && (id === undefined || section.id === id)
    );
  }
}
