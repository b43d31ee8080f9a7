/** An answer that goes out as it is, without JSON around it: a downloaded log. */
export class PlainText {
  constructor(
    readonly text: string,
    readonly type = "text/plain",
  ) {}
}
