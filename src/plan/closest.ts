import { closest as nearest, distance } from "fastest-levenshtein";

/** The word that was probably meant; undefined where none is near (more than a third of the letters differ). */
export function closest(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const found = nearest(word, words);
  return distance(word, found) <= Math.max(2, Math.floor(word.length / 3)) ? found : undefined;
}
