// Questions to the server.

/** What the server says is wrong, with its status; 0 when it did not answer. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return the answer to a question, or throw an ApiError. Ids are strings and stay so. */
export async function ask(path, signal) {
  let response;
  try {
    response = await fetch(`/api/${path}`, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The dashboard's server does not answer.", 0);
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(`The dashboard's server answers ${response.status} ${response.statusText}.`, response.status);
  }
  if (!response.ok) throw new ApiError(answer.error ?? response.statusText, response.status);
  return answer;
}
