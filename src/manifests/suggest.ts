import { distance } from "fastest-levenshtein";

/**
 * The candidate that somebody most likely meant, or undefined where none is near: a third of the word may differ, two
 * letters in words of four and five, case and separators not counted.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_ ]/g, "");
  const wanted = plain(word.slice(0, 100));
  let best: string | undefined;
  let least = (wanted.length < 4 ? 1 : Math.max(2, Math.floor(wanted.length / 3))) + 1;
  for (const candidate of candidates) {
    const far = distance(wanted, plain(candidate));
    // a word that shares nothing with the candidate is no slip of the finger
    if (far < least && far < Math.max(wanted.length, candidate.length)) [best, least] = [candidate, far];
  }
  return best;
}

/** `; did you mean x?`, or nothing. */
export function didYouMean(suggestion: string | undefined): string {
  return suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
}
